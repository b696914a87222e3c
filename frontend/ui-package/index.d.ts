// Written by `npm run ui:build` from the dashboard's sources. Change those.
/**
 * `@nimbus/ui`: what plugin pages may build on. A small set that stays; everything else in the dashboard is its own,
 * its class names too. A page that wants more brings a style sheet and uses the tokens `var(--nimbus-…)`.
 *
 * - `Page` `{ title, lead, actions }`: a page with its heading; `Stack` and `Columns`: children below or beside each
 *   other, with room between them; `Text` `{ muted }`: a paragraph
 * - `Button` `{ variant: "primary" | "secondary" | "ghost" | "danger", size, busy, …button }`
 * - `Card` `{ …section }`, `Heading` `{ level: 1 | 2 | 3, …heading }`, `Badge` `{ tone, …span }`
 * - `Alert` `{ level: "info" | "warning" | "error", title, urgent }`: a note on the page
 * - `Field` `{ label, help, error, …input }`: an input with its label, help and error
 * - `Spinner` `{ label }`
 * - `Link` `{ to }`: between the plugin's own pages
 * - `useApi(path, { lazy })` → `{ data, error, loading, reload }`: reads one of the plugin's own routes
 * - `readAnswer(response)`: the body of an answer of `api`, or a thrown problem with a message fit to be shown
 * - `usePlugin()` → the page's props from any depth
 */

import type { ComponentProps, ComponentType, ReactNode } from "react";

/**
 * FieldProblem
 *
 * One thing that is wrong with the input.
 */
type FieldProblem = {
    /**
     * Path
     *
     * JSON pointer into the body, or the parameter's name.
     */
    path: string;
    /**
     * Message
     *
     * What was expected.
     */
    message: string;
    /**
     * Value
     *
     * What was found, cut to a readable length.
     */
    value?: unknown;
    /**
     * Suggestion
     *
     * A likely meant key or value.
     */
    suggestion?: string | null;
};

/**
 * Problem
 *
 * Problem details. `type` is stable: clients may switch on it.
 */
type Problem = {
    /**
     * Type
     *
     * Stable URI reference under /problems/.
     */
    type: string;
    /**
     * Title
     */
    title: string;
    /**
     * Status
     */
    status: number;
    /**
     * Detail
     */
    detail?: string | null;
    /**
     * Instance
     *
     * The request's id; quote it when reporting.
     */
    instance?: string | null;
    /**
     * Errors
     */
    errors?: Array<FieldProblem> | null;
};

/** A call that failed, with the problem body that the gateway sent (RFC 9457). */
declare class ApiProblem extends Error {
    readonly name = "ApiProblem";
    /** HTTP status; 0 when no answer arrived. */
    readonly status: number;
    /** Stable URI such as `/problems/plugin-failed`; empty when the body was no problem. */
    readonly type: string;
    readonly problem: Problem | null;
    /** Seconds after which the server wants to hear from us again. */
    readonly retryAfter: number | null;
    constructor(status: number, problem: Problem | null, retryAfter?: number | null);
}

type Level = "info" | "warning" | "error";

interface AlertProps {
    level?: Level;
    title?: string;
    children?: ReactNode;
    /** Buttons at its end. */
    actions?: ReactNode;
    /** It appears in answer to what a person did, so it is read out at once. */
    urgent?: boolean;
    className?: string;
}

declare function Alert({ level, title, children, actions, urgent, className }: AlertProps): import("react").JSX.Element;

declare const TONES: {
    neutral: string;
    busy: string;
    accent: string;
    positive: string;
    warning: string;
    danger: string;
    outline: string;
};

interface BadgeProps extends ComponentProps<"span"> {
    tone?: keyof typeof TONES | null;
}

declare function Badge({ className, tone, ...props }: BadgeProps): import("react").JSX.Element;

declare const VARIANTS: {
    primary: string;
    secondary: string;
    ghost: string;
    danger: string;
};

declare const SIZES: {
    small: string;
    medium: string;
    icon: string;
    "icon-small": string;
};

interface ButtonProps extends ComponentProps<"button"> {
    variant?: keyof typeof VARIANTS | null;
    size?: keyof typeof SIZES | null;
    /** Renders its one child with the button's looks, for links. */
    asChild?: boolean;
    /** Shows a spinner and takes no presses. The button keeps its focus. */
    busy?: boolean;
}

declare function Button({ className, variant, size, asChild, busy, children, onClick, ...props }: ButtonProps): import("react").JSX.Element;

/** A surface that holds one thing. */
declare function Card({ className, ...props }: ComponentProps<"section">): import("react").JSX.Element;

interface Notes {
    help?: string | undefined;
    /** What is wrong with the value; tied to the input for screen readers. */
    error?: string | undefined;
}

interface FieldProps extends Omit<ComponentProps<"input">, "id">, Notes {
    label: string;
    /** Sits at the end inside the input's box, e.g. a button that shows a password. */
    trailing?: ReactNode;
}

/** An input with its label, help and error. */
declare const Field: ({ label, help, error, trailing, className, ...props }: FieldProps) => import("react").JSX.Element;

interface HeadingProps extends ComponentProps<"h1"> {
    /** Its place in the page's outline; looks follow. */
    level?: 1 | 2 | 3;
}

declare function Heading({ level, className, ...props }: HeadingProps): import("react").JSX.Element;

/** Children beside each other where there is room, else below each other. */
declare const Columns: ({ className, ...props }: ComponentProps<"div">) => import("react").JSX.Element;

interface PageProps {
    title: string;
    lead?: ReactNode;
    /** Buttons beside the title. */
    actions?: ReactNode;
    children?: ReactNode;
}

/** A page with its heading, for plugins. */
declare function Page({ title, lead, actions, children }: PageProps): import("react").JSX.Element;

/** Children below each other, as wide as what they need to be. */
declare const Stack: ({ className, ...props }: ComponentProps<"div">) => import("react").JSX.Element;

interface TextProps extends ComponentProps<"p"> {
    muted?: boolean;
}

declare const Text: ({ muted, className, ...props }: TextProps) => import("react").JSX.Element;

/** A turning ring. With a label it speaks; without one it is decoration beside words that do. */
declare function Spinner({ className, label }: {
    className?: string;
    label?: string;
}): import("react").JSX.Element;

/** The plugin as its own pages see it. */
interface PluginInfo {
    id: string;
    name: string;
    version: string;
}

/** A fetch that reaches one plugin's own routes and nothing else. */
type PluginApi = (path: string, init?: RequestInit) => Promise<Response>;

/** Who is signed in. */
interface UserInfo {
    id: string;
    username: string;
    role: "admin" | "user";
}

type Theme = "light" | "dark";

/** What every page and slot of a plugin gets. */
interface PluginPageProps {
    plugin: PluginInfo;
    /** Where the plugin's pages live in the dashboard: `/plugins/<id>`. */
    basePath: string;
    /** `fetch` bound to the plugin's own routes: `api("hello")` calls `/api/plugins/<id>/hello`. */
    api: PluginApi;
    user: UserInfo;
    theme: Theme;
    /** Go to a path of the plugin's own pages: `navigate("/items/3")`. */
    navigate: (path: string, options?: {
        replace?: boolean;
    }) => void;
    /** Path within the plugin: `/items/3`. */
    path: string;
    /** Values of the page path's `:name` segments. */
    params: Readonly<Record<string, string>>;
    /** In a slot, what it is about: `{ media }` in a tab of a film. Empty on a page. */
    context: Readonly<Record<string, unknown>>;
}

type PluginComponent = ComponentType<PluginPageProps>;

/**
 * The props of the page or slot round this component, from any depth.
 *
 * @throws {Error} used outside a plugin's page or slot.
 */
declare function usePlugin(): PluginPageProps;

interface LinkProps extends Omit<ComponentProps<"a">, "href"> {
    /** A path of the plugin's own pages, such as `/items/3`. */
    to: string;
}

/** A link between a plugin's own pages, without loading the dashboard anew. */
declare function Link({ to, onClick, className, ...props }: LinkProps): import("react").JSX.Element;

interface ApiOptions extends RequestInit {
    /** Do not call by itself; wait for `reload`. */
    lazy?: boolean;
}

interface ApiState<Data> {
    data: Data | undefined;
    /** Its `message` is fit to be shown; an `ApiProblem` also has `status` and `problem`. */
    error: Error | undefined;
    loading: boolean;
    /** Call (again). Resolves when the answer is there; never rejects. */
    reload: () => Promise<void>;
}

/**
 * The body of an answer: parsed JSON, else text; nothing when the answer has none.
 *
 * @throws {ApiProblem} the answer is not a success; its message is the problem's detail.
 */
declare function readAnswer<Data = unknown>(response: Response): Promise<Data>;

/** Reads one of the plugin's own routes, and again when the path changes. An answer that was overtaken is dropped. */
declare function useApi<Data = unknown>(path: string, { lazy, ...init }?: ApiOptions): ApiState<Data>;

export { Alert, ApiProblem, Badge, Button, Card, Columns, Field, Heading, Link, Page, Spinner, Stack, Text, readAnswer, type AlertProps, type ApiOptions, type ApiState, type BadgeProps, type ButtonProps, type FieldProps, type HeadingProps, type LinkProps, type PageProps, type PluginApi, type PluginComponent, type PluginInfo, type PluginPageProps, type TextProps, type Theme, type UserInfo, useApi, usePlugin };
