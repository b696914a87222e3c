import type { ComponentProps } from "react";
import { cn } from "../cn";

/** A surface that holds one thing. */
export function Card({ className, ...props }: ComponentProps<"section">) {
  return <section className={cn("rounded-card border bg-surface p-5 shadow-card sm:p-6", className)} {...props} />;
}
