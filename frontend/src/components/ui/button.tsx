import { Slot } from "@radix-ui/react-slot";
import { cva } from "class-variance-authority";
import type { ComponentProps } from "react";
import { cn } from "../cn";
import { Spinner } from "./spinner";

const VARIANTS = {
  primary: "bg-accent text-on-accent hover:bg-accent-hover",
  secondary: "border bg-surface text-text hover:bg-sunken",
  ghost: "text-muted hover:bg-sunken hover:text-text",
  danger: "border border-danger/40 bg-surface text-danger hover:bg-danger-soft",
};
const SIZES = { small: "h-8 px-3 text-sm", medium: "h-10 px-4", icon: "size-10", "icon-small": "size-8" };

const button = cva(
  "inline-flex shrink-0 items-center justify-center gap-2 whitespace-nowrap rounded-lg font-medium transition-colors disabled:opacity-55 aria-disabled:opacity-55 [&_svg]:size-4 [&_svg]:shrink-0",
  {
    variants: { variant: VARIANTS, size: SIZES },
    defaultVariants: { variant: "secondary", size: "medium" },
  },
);

export interface ButtonProps extends ComponentProps<"button"> {
  variant?: keyof typeof VARIANTS | null;
  size?: keyof typeof SIZES | null;
  /** Renders its one child with the button's looks, for links. */
  asChild?: boolean;
  /** Shows a spinner and takes no presses. The button keeps its focus. */
  busy?: boolean;
}

export function Button({ className, variant, size, asChild, busy, children, onClick, ...props }: ButtonProps) {
  if (asChild) {
    return (
      <Slot className={cn(button({ variant, size }), className)} {...props}>
        {children}
      </Slot>
    );
  }
  return (
    <button
      type="button"
      className={cn(button({ variant, size }), className)}
      {...props}
      aria-disabled={busy || props["aria-disabled"]}
      onClick={busy ? (event) => event.preventDefault() : onClick}
    >
      {busy && <Spinner />}
      {children}
    </button>
  );
}
