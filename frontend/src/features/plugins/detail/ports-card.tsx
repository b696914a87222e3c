import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { type FormEvent, useState } from "react";
import type { Manifest } from "@/api/plugins";
import { type CompatPort, freePort, mapPort, portsQuery } from "@/api/ports";
import { messageOf } from "@/api/problem";
import { Loaded } from "@/components/loaded";
import { notify } from "@/components/toasts";
import { Alert } from "@/components/ui/alert";
import { Button } from "@/components/ui/button";
import { Card } from "@/components/ui/card";
import { Confirm } from "@/components/ui/confirm";
import { Heading } from "@/components/ui/heading";
import { SelectField } from "@/components/ui/select-field";
import { texts } from "@/texts";

const { ports } = texts;
const COMPAT = "compat:";

/** The products that a plugin has routes of. */
export const productsOf = (routes: Manifest["routes"]): string[] =>
  [
    ...new Set((routes ?? []).flatMap(({ tag }) => (tag?.startsWith(COMPAT) ? [tag.slice(COMPAT.length)] : []))),
  ].sort();

/** The ports at which the plugin looks like another product. Only for plugins that can. */
export function PortsCard({ pluginId, routes }: { pluginId: string; routes: Manifest["routes"] }) {
  const products = productsOf(routes);
  return products.length === 0 ? null : <Ports pluginId={pluginId} products={products} />;
}

function Ports({ pluginId, products }: { pluginId: string; products: readonly string[] }) {
  const query = useQuery(portsQuery);
  const client = useQueryClient();
  const [asked, setAsked] = useState<CompatPort | null>(null);
  const again = () => client.invalidateQueries({ queryKey: portsQuery.queryKey });
  const map = useMutation({
    mutationFn: (port: number) => mapPort(port, pluginId),
    onSuccess: ({ port }) => notify(ports.mapped(port)),
    onSettled: again,
  });
  const free = useMutation({
    mutationFn: (port: number) => freePort(port),
    onSuccess: (_, port) => {
      notify(ports.freed(port));
      setAsked(null);
    },
    onSettled: again,
  });
  const submit = (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault();
    if (!map.isPending) map.mutate(Number(new FormData(event.currentTarget).get("port")));
  };
  return (
    <Card aria-labelledby="ports-heading" className="grid grid-cols-1 gap-3">
      <Heading id="ports-heading">{ports.title}</Heading>
      <p className="text-sm text-pretty text-muted">{ports.lead(products.join(", "))}</p>
      <Loaded query={query} failed={ports.loadFailed}>
        {(all) => {
          const own = all.filter((item) => item.pluginId === pluginId);
          const open = all.filter((item) => item.bound && !item.pluginId);
          return (
            <>
              {own.length === 0 ? (
                <p className="text-sm text-muted">{all.length === 0 ? ports.noneThere : ports.none}</p>
              ) : (
                <ul className="grid gap-2">
                  {own.map((item) => (
                    <li key={item.port} className="flex flex-wrap items-center gap-3">
                      <code className="font-mono text-sm">{`${location.hostname}:${item.port}`}</code>
                      <Button
                        size="small"
                        variant="danger"
                        className="ml-auto"
                        aria-label={ports.freeOf(item.port)}
                        onClick={() => setAsked(item)}
                      >
                        {ports.free}
                      </Button>
                      {!item.bound && <p className="w-full text-sm text-danger">{ports.unbound}</p>}
                    </li>
                  ))}
                </ul>
              )}
              {open.length > 0 ? (
                <form onSubmit={submit} className="flex flex-wrap items-end gap-2">
                  <SelectField
                    label={ports.port}
                    name="port"
                    className="w-28"
                    options={open.map(({ port }) => ({ value: String(port), label: String(port) }))}
                  />
                  <Button type="submit" busy={map.isPending}>
                    {ports.map}
                  </Button>
                </form>
              ) : (
                all.length > 0 && own.length === 0 && <p className="text-sm text-muted">{ports.allTaken}</p>
              )}
            </>
          );
        }}
      </Loaded>
      {map.isError && (
        <Alert level="error" urgent>
          {messageOf(map.error)}
        </Alert>
      )}
      {asked && (
        <Confirm
          title={ports.freeOf(asked.port)}
          action={ports.free}
          busy={free.isPending}
          error={free.error}
          onConfirm={() => free.mutate(asked.port)}
          onClose={() => setAsked(null)}
        >
          <p>{ports.freeLead(asked.port)}</p>
        </Confirm>
      )}
    </Card>
  );
}
