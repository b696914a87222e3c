import type { ReactNode } from "react";
import type { PluginDependency, PluginDependent } from "@/api/plugins";
import { Badge } from "@/components/ui/badge";
import { texts } from "@/texts";
import { PluginName } from "./plugin-name";
import { StateBadge } from "./state-badge";

const { dependencies: words } = texts;

/** What a plugin needs: how each stands, and what to do about it. */
export const Dependencies = ({ items }: { items: readonly PluginDependency[] }) => (
  <ul className="grid grid-cols-1 gap-3 text-sm">
    {items.map((one) => (
      <Item
        key={one.id}
        id={one.id}
        name={one.name ?? null}
        optional={one.optional}
        badge={<DependencyState one={one} />}
        range={one.version}
        message={one.message}
      />
    ))}
  </ul>
);

/** Who needs a plugin, and how they are. */
export const Dependents = ({ items }: { items: readonly PluginDependent[] }) => (
  <ul className="grid grid-cols-1 gap-3 text-sm">
    {items.map((one) => (
      <Item
        key={one.id}
        id={one.id}
        name={one.name}
        optional={one.optional}
        badge={<StateBadge state={one.state} />}
        range={one.version}
      />
    ))}
  </ul>
);

function DependencyState({ one }: { one: PluginDependency }) {
  if (one.problem === "version") return <Badge tone="warning">{words.version}</Badge>;
  return one.state ? <StateBadge state={one.state} /> : <Badge tone="warning">{words.missing}</Badge>;
}

interface ItemProps {
  id: string;
  /** None while it is not installed. */
  name: string | null;
  optional: boolean;
  badge: ReactNode;
  range: string;
  message?: string | null | undefined;
}

const Item = ({ id, name, optional, badge, range, message }: ItemProps) => (
  <li className="min-w-0">
    <span className="flex min-w-0 flex-wrap items-center gap-x-2 gap-y-1">
      {name === null ? <span className="font-medium break-all">{id}</span> : <PluginName id={id} name={name} />}
      {badge}
      {optional && <Badge tone="outline">{words.optional}</Badge>}
      <span className="text-muted">{words.range(range)}</span>
    </span>
    {message && <span className="block break-words">{message}</span>}
  </li>
);
