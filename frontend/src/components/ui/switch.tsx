import * as Primitive from "@radix-ui/react-switch";
import type { ComponentProps } from "react";
import { cn } from "../cn";

/** On or off. Give it an `aria-label` or a label element. */
export function Switch({ className, ...props }: ComponentProps<typeof Primitive.Root>) {
  return (
    <Primitive.Root
      className={cn(
        "relative h-6 w-11 shrink-0 rounded-full border border-transparent bg-border-strong transition-colors data-[state=checked]:bg-accent disabled:cursor-not-allowed disabled:opacity-50",
        className,
      )}
      {...props}
    >
      <Primitive.Thumb className="block size-[1.125rem] translate-x-0.5 rounded-full bg-white shadow-sm transition-transform data-[state=checked]:translate-x-[1.3125rem] dark:data-[state=checked]:bg-on-accent" />
    </Primitive.Root>
  );
}
