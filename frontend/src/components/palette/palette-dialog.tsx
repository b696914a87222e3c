import { useQuery } from "@tanstack/react-query";
import { useRouter } from "@tanstack/react-router";
import { Search } from "lucide-react";
import { type KeyboardEvent, useEffect, useId, useMemo, useRef, useState } from "react";
import { type ListedPlugin, pluginsQuery, scanPlugins, uiManifestsQuery } from "@/api/plugins";
import { messageOf } from "@/api/problem";
import type { User } from "@/api/session";
import { texts } from "@/texts";
import { chooseTheme } from "@/theme/theme";
import { cn } from "../cn";
import { notify } from "../toasts";
import { type Command, commandsOf, matching } from "./commands";

const SHOWN = 50;

const { palette } = texts;

export interface PaletteDialogProps {
  user: User;
  onSwitch: (plugin: ListedPlugin, enabled: boolean) => void;
  onClose: () => void;
}

/** A combobox in a dialog: type to narrow, arrows to choose, Enter to do it. */
export default function PaletteDialog({ user, onSwitch, onClose }: PaletteDialogProps) {
  const dialog = useRef<HTMLDialogElement>(null);
  const id = useId();
  const router = useRouter();
  const [typed, setTyped] = useState("");
  const [chosen, setChosen] = useState(0);
  const { data: plugins } = useQuery(pluginsQuery(user.role === "admin"));
  const { data: manifests } = useQuery(uiManifestsQuery);

  useEffect(() => dialog.current?.showModal(), []);

  const commands = useMemo(() => {
    return commandsOf({
      role: user.role,
      plugins: plugins ?? [],
      manifests: manifests ?? [],
      go: (href) => void router.navigate({ href }),
      setEnabled: onSwitch,
      rescan: () =>
        void scanPlugins().then(
          ({ added = [], updated = [], removed = [], invalid = [] }) =>
            notify(texts.plugins.scanned(added.length, updated.length, removed.length, invalid.length)),
          (error: unknown) => notify(messageOf(error)),
        ),
      theme: chooseTheme,
    });
  }, [user.role, plugins, manifests, router, onSwitch]);
  const found = useMemo(() => matching(commands, typed).slice(0, SHOWN), [commands, typed]);
  const current = Math.min(chosen, found.length - 1);

  const run = (command: Command | undefined) => {
    if (!command) return;
    dialog.current?.close();
    command.run();
  };

  const onKeyDown = (event: KeyboardEvent) => {
    const last = found.length - 1;
    const next: Record<string, number> = {
      ArrowDown: current >= last ? 0 : current + 1,
      ArrowUp: current <= 0 ? last : current - 1,
      Home: 0,
      End: last,
    };
    if (event.key === "Enter") run(found[current]);
    else if (event.key in next && !((event.key === "Home" || event.key === "End") && typed)) {
      setChosen(next[event.key] ?? 0);
    } else return;
    event.preventDefault();
  };

  return (
    <dialog
      ref={dialog}
      aria-label={palette.title}
      onClose={onClose}
      onClick={(event) => event.target === dialog.current && dialog.current.close()}
      onKeyDown={(event) => event.key === "Escape" && dialog.current?.close()}
      className="mx-auto mt-[12vh] w-[36rem] max-w-[calc(100vw-2rem)] animate-rise overflow-hidden rounded-card border bg-surface p-0 text-text shadow-lg"
    >
      <div className="flex items-center gap-3 border-b px-4">
        <Search aria-hidden="true" className="size-5 shrink-0 text-muted" />
        <input
          role="combobox"
          aria-label={palette.title}
          aria-expanded="true"
          aria-controls={`${id}-list`}
          aria-autocomplete="list"
          aria-activedescendant={found.length > 0 ? `${id}-${current}` : undefined}
          placeholder={palette.placeholder}
          autoComplete="off"
          spellCheck={false}
          value={typed}
          onChange={(event) => {
            setTyped(event.target.value);
            setChosen(0);
          }}
          onKeyDown={onKeyDown}
          className="h-13 min-w-0 flex-1 bg-transparent outline-none placeholder:text-muted"
        />
      </div>
      <div role="listbox" id={`${id}-list`} aria-label={palette.results} className="max-h-[50vh] overflow-y-auto p-2">
        {found.map((command, index) => (
          // biome-ignore lint/a11y/useKeyWithClickEvents: the keys are the combobox's
          <div
            key={command.id}
            id={`${id}-${index}`}
            role="option"
            tabIndex={-1}
            aria-selected={index === current}
            ref={(element) => {
              if (index === current) element?.scrollIntoView({ block: "nearest" });
            }}
            onClick={() => run(command)}
            onPointerMove={() => setChosen(index)}
            className={cn(
              "flex min-h-10 cursor-pointer items-center gap-3 rounded-lg px-3 py-1.5",
              index === current && "bg-accent-soft",
            )}
          >
            <span className="min-w-0 flex-1 break-words">{command.label}</span>
            <span className={cn("shrink-0 text-[0.8125rem]", index === current ? "text-text" : "text-muted")}>
              {command.kind}
            </span>
          </div>
        ))}
      </div>
      <p role="status" className={found.length > 0 ? "sr-only" : "px-5 pb-5 text-muted"}>
        {found.length > 0 ? palette.count(found.length) : palette.nothing}
      </p>
    </dialog>
  );
}
