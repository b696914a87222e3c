import type { ComponentProps, MouseEvent } from "react";
import { cn } from "@/components/cn";
import { usePlugin } from "./context";

export interface LinkProps extends Omit<ComponentProps<"a">, "href"> {
  /** A path of the plugin's own pages, such as `/items/3`. */
  to: string;
}

/** A link between a plugin's own pages, without loading the dashboard anew. */
export function Link({ to, onClick, className, ...props }: LinkProps) {
  const { basePath, navigate } = usePlugin();
  const follow = (event: MouseEvent<HTMLAnchorElement>) => {
    onClick?.(event);
    const plain = event.button === 0 && !event.metaKey && !event.ctrlKey && !event.shiftKey && !event.altKey;
    if (event.defaultPrevented || !plain || (props.target && props.target !== "_self")) return;
    event.preventDefault();
    navigate(to);
  };
  return (
    <a
      href={basePath + (to.startsWith("/") ? to : `/${to}`)}
      onClick={follow}
      className={cn("rounded font-medium text-accent underline-offset-4 hover:underline", className)}
      {...props}
    />
  );
}
