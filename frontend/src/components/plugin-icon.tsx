import { Puzzle } from "lucide-react";
import { createElement, useEffect, useState } from "react";
import { cn } from "./cn";

type IconNode = [tag: string, attributes: Record<string, string>][];
type Shard = Record<string, IconNode>;

// One module for each first letter: see vite/icon-shards.ts.
const SHARDS: Record<string, () => Promise<{ default: unknown }>> = {
  a: () => import("virtual:icons/a"),
  b: () => import("virtual:icons/b"),
  c: () => import("virtual:icons/c"),
  d: () => import("virtual:icons/d"),
  e: () => import("virtual:icons/e"),
  f: () => import("virtual:icons/f"),
  g: () => import("virtual:icons/g"),
  h: () => import("virtual:icons/h"),
  i: () => import("virtual:icons/i"),
  j: () => import("virtual:icons/j"),
  k: () => import("virtual:icons/k"),
  l: () => import("virtual:icons/l"),
  m: () => import("virtual:icons/m"),
  n: () => import("virtual:icons/n"),
  o: () => import("virtual:icons/o"),
  p: () => import("virtual:icons/p"),
  q: () => import("virtual:icons/q"),
  r: () => import("virtual:icons/r"),
  s: () => import("virtual:icons/s"),
  t: () => import("virtual:icons/t"),
  u: () => import("virtual:icons/u"),
  v: () => import("virtual:icons/v"),
  w: () => import("virtual:icons/w"),
  x: () => import("virtual:icons/x"),
  y: () => import("virtual:icons/y"),
  z: () => import("virtual:icons/z"),
};

const known = new Map<string, IconNode | null>();

async function load(name: string): Promise<IconNode | null> {
  const shard = (await SHARDS[name.charAt(0)]?.())?.default as Shard | undefined;
  const node = shard && Object.hasOwn(shard, name) ? (shard[name] ?? null) : null;
  known.set(name, node);
  return node;
}

/** The Lucide icon that a manifest names; a puzzle piece when it names none or an unknown one. */
export function PluginIcon({ name, className }: { name: string | null | undefined; className?: string }) {
  const [loaded, setLoaded] = useState<{ name: string; node: IconNode | null } | null>(null);
  const node = name ? (known.get(name) ?? (loaded?.name === name ? loaded.node : null)) : null;

  useEffect(() => {
    if (!name || known.has(name)) return;
    let current = true;
    load(name).then(
      (found) => current && setLoaded({ name, node: found }),
      // An icon is not worth an error: the puzzle piece stays.
      () => undefined,
    );
    return () => {
      current = false;
    };
  }, [name]);

  if (!node) return <Puzzle aria-hidden="true" className={cn("size-5", className)} />;
  return (
    <svg
      viewBox="0 0 24 24"
      fill="none"
      stroke="currentColor"
      strokeWidth={2}
      strokeLinecap="round"
      strokeLinejoin="round"
      aria-hidden="true"
      className={cn("size-5", className)}
    >
      {node.map(([tag, attributes], index) =>
        // The nodes of an icon never change their order.
        createElement(tag, { key: index, ...attributes }),
      )}
    </svg>
  );
}
