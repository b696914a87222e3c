import { cva } from "class-variance-authority";
import type { ComponentProps } from "react";
import { cn } from "../cn";

const TONES = {
  neutral: "bg-sunken text-muted",
  busy: "bg-accent-soft text-accent",
  accent: "bg-accent-soft text-accent",
  positive: "bg-positive-soft text-positive",
  warning: "bg-warning-soft text-warning",
  danger: "bg-danger-soft text-danger",
  outline: "border text-muted",
};

const badge = cva(
  "inline-flex min-h-6 items-center gap-1.5 rounded-xl px-2.5 py-0.5 text-[0.8125rem] font-medium leading-4 [&_svg]:size-3.5",
  {
    variants: { tone: TONES },
    defaultVariants: { tone: "neutral" },
  },
);

export interface BadgeProps extends ComponentProps<"span"> {
  tone?: keyof typeof TONES | null;
}

export function Badge({ className, tone, ...props }: BadgeProps) {
  return <span className={cn(badge({ tone }), className)} {...props} />;
}
