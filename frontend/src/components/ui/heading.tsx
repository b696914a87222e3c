import type { ComponentProps } from "react";
import { cn } from "../cn";

const SIZES = {
  1: "text-2xl font-semibold tracking-tight",
  2: "text-lg font-semibold tracking-tight",
  3: "font-semibold",
} as const;

export interface HeadingProps extends ComponentProps<"h1"> {
  /** Its place in the page's outline; looks follow. */
  level?: 1 | 2 | 3;
}

export function Heading({ level = 2, className, ...props }: HeadingProps) {
  const Tag = `h${level}` as const;
  return <Tag className={cn("text-balance text-text", SIZES[level], className)} {...props} />;
}
