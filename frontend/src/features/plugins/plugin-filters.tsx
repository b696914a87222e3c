import { Search } from "lucide-react";
import { type ReactNode, useEffect, useRef } from "react";
import type { ListedPlugin } from "@/api/plugins";
import { cn } from "@/components/cn";
import { inputClasses } from "@/components/ui/field-frame";
import { texts } from "@/texts";
import { capabilitiesOf, FILTERS, type PluginsSearch } from "./search";
import { matchesFilter, type StateFilter } from "./state";

export interface PluginFiltersProps {
  plugins: readonly ListedPlugin[];
  /** Those that fit everything but the state. */
  found: readonly ListedPlugin[];
  search: PluginsSearch;
  onChange: (change: { [Key in keyof PluginsSearch]: PluginsSearch[Key] | undefined }) => void;
  /** How many are shown, in words. */
  count: string;
  /** Stands at the end. */
  children: ReactNode;
}

/** Words, state and capability: what of the list is shown. */
export function PluginFilters({ plugins, found, search, onChange, count, children }: PluginFiltersProps) {
  const box = useRef<HTMLInputElement>(null);
  // The box is the person's while they type; the address has its say when it was changed elsewhere.
  useEffect(() => {
    const element = box.current;
    if (element && document.activeElement !== element) element.value = search.q ?? "";
  }, [search.q]);
  return (
    <search className="mb-5 flex flex-wrap items-center gap-3">
      <div className="relative w-full sm:w-64">
        <Search aria-hidden="true" className="pointer-events-none absolute top-3 left-3 size-4 text-muted" />
        <input
          ref={box}
          type="search"
          defaultValue={search.q ?? ""}
          onChange={(event) => onChange({ q: event.target.value || undefined })}
          placeholder={texts.plugins.search}
          aria-label={texts.plugins.search}
          className={`${inputClasses} pl-9`}
        />
      </div>
      <select
        value={search.capability ?? ""}
        onChange={(event) => onChange({ capability: event.target.value || undefined })}
        aria-label={texts.plugins.byCapability}
        className={cn(inputClasses, "w-full sm:w-auto sm:max-w-48")}
      >
        <option value="">{texts.plugins.anyCapability}</option>
        {capabilitiesOf(plugins).map(([capability, number]) => (
          <option key={capability} value={capability}>{`${capability} (${number})`}</option>
        ))}
      </select>
      <fieldset aria-label={texts.plugins.filter} className="flex min-w-0 flex-wrap gap-1">
        {FILTERS.map((name) => (
          <button
            key={name}
            type="button"
            aria-pressed={(search.state ?? "all") === name}
            onClick={() => onChange({ state: name === "all" ? undefined : name })}
            className="flex h-9 shrink-0 items-center gap-1.5 rounded-lg px-3 text-sm font-medium text-muted transition-colors hover:bg-sunken hover:text-text aria-pressed:bg-accent-soft aria-pressed:text-accent"
          >
            {texts.plugins.filters[name]}
            <span className="tabular-nums">{number(found, name)}</span>
          </button>
        ))}
      </fieldset>
      <div className="ml-auto flex flex-wrap items-center gap-3">
        <p role="status" className="text-sm text-muted max-xl:sr-only">
          {count}
        </p>
        {children}
      </div>
    </search>
  );
}

const number = (plugins: readonly ListedPlugin[], name: StateFilter): number =>
  plugins.filter((plugin) => matchesFilter(plugin.state, name)).length;
