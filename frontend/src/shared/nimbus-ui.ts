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
export { ApiProblem } from "@/api/problem";
export { Alert, type AlertProps } from "@/components/ui/alert";
export { Badge, type BadgeProps } from "@/components/ui/badge";
export { Button, type ButtonProps } from "@/components/ui/button";
export { Card } from "@/components/ui/card";
export { Field, type FieldProps } from "@/components/ui/field";
export { Heading, type HeadingProps } from "@/components/ui/heading";
export { Columns, Page, type PageProps, Stack, Text, type TextProps } from "@/components/ui/layout";
export { Spinner } from "@/components/ui/spinner";
export type { PluginComponent } from "@/plugin-host/bundle";
export { usePlugin } from "@/plugin-host/context";
export { Link, type LinkProps } from "@/plugin-host/link";
export type { PluginApi, PluginInfo, PluginPageProps, Theme, UserInfo } from "@/plugin-host/types";
export { type ApiOptions, type ApiState, readAnswer, useApi } from "@/plugin-host/use-api";
