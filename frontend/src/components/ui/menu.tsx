import * as Primitive from "@radix-ui/react-dropdown-menu";
import { Check } from "lucide-react";
import type { ComponentProps } from "react";
import { cn } from "../cn";

// Not modal: a modal menu locks scrolling with an injected <style>, which the content security policy refuses.
export const Menu = (props: ComponentProps<typeof Primitive.Root>) => <Primitive.Root modal={false} {...props} />;
export const MenuTrigger = Primitive.Trigger;
export const MenuRadioGroup = Primitive.RadioGroup;

export interface MenuContentProps extends ComponentProps<typeof Primitive.Content> {
  /** Where it is put; the body unless given. Within a modal dialog it has to be the dialog: all else is inert. */
  container?: HTMLElement | null | undefined;
}

export function MenuContent({ className, container, ...props }: MenuContentProps) {
  return (
    <Primitive.Portal container={container ?? null}>
      <Primitive.Content
        align="end"
        sideOffset={6}
        collisionPadding={8}
        className={cn("z-50 min-w-56 animate-rise rounded-xl border bg-surface p-1.5 shadow-lg", className)}
        {...props}
      />
    </Primitive.Portal>
  );
}

const item =
  "flex h-9 cursor-default select-none items-center gap-2.5 rounded-lg px-2.5 text-sm outline-none data-[highlighted]:bg-accent-soft data-[highlighted]:text-text [&_svg]:size-4 [&_svg]:text-muted";

export function MenuItem({ className, ...props }: ComponentProps<typeof Primitive.Item>) {
  return <Primitive.Item className={cn(item, className)} {...props} />;
}

export function MenuRadioItem({ children, className, ...props }: ComponentProps<typeof Primitive.RadioItem>) {
  return (
    <Primitive.RadioItem className={cn(item, className)} {...props}>
      {children}
      <Primitive.ItemIndicator className="ml-auto">
        <Check aria-hidden="true" />
      </Primitive.ItemIndicator>
    </Primitive.RadioItem>
  );
}

export function MenuLabel({ className, ...props }: ComponentProps<typeof Primitive.Label>) {
  return <Primitive.Label className={cn("px-2.5 py-1.5 text-xs font-medium text-muted", className)} {...props} />;
}

export const MenuSeparator = () => <Primitive.Separator className="my-1.5 border-t" />;
