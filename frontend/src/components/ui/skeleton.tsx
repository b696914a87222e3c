import { cn } from "../cn";

/** Stands where content is about to be. Decoration: say elsewhere that something loads. */
export const Skeleton = ({ className }: { className?: string }) => (
  <div aria-hidden="true" className={cn("animate-breathe rounded-md bg-border", className)} />
);
