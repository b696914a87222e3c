import mark from "@/assets/nimbus.svg";
import { texts } from "@/texts";
import { cn } from "../cn";

export function Brand({ className }: { className?: string }) {
  return (
    <span className={cn("flex items-center gap-2.5 text-lg font-semibold tracking-tight", className)}>
      <img src={mark} alt="" width="28" height="28" />
      {texts.app.name}
    </span>
  );
}
