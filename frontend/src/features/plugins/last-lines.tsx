import { useCallback, useRef } from "react";
import { texts } from "@/texts";

/** What a plugin printed last, folded away; opened it stands at its end, where the reason usually is. */
export function LastLines({ lines, open = false }: { lines: readonly string[]; open?: boolean }) {
  const box = useRef<HTMLElement>(null);
  const toEnd = useCallback(() => {
    if (box.current) box.current.scrollTop = box.current.scrollHeight;
  }, []);
  if (lines.length === 0) return null;
  return (
    // Also told of when it is drawn open.
    <details open={open} onToggle={toEnd} className="text-sm">
      <summary className="w-fit cursor-pointer rounded font-medium">{texts.failure.lastLines}</summary>
      <section
        ref={box}
        // biome-ignore lint/a11y/noNoninteractiveTabindex: a box that scrolls has to be reachable by keyboard
        tabIndex={0}
        aria-label={texts.failure.lastLines}
        className="mt-2 max-h-52 overflow-auto rounded-md bg-surface p-3"
      >
        <pre className="whitespace-pre-wrap break-words font-mono text-xs leading-5">{lines.join("\n")}</pre>
      </section>
    </details>
  );
}
