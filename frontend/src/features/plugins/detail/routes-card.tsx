import { useState } from "react";
import type { Manifest } from "@/api/plugins";
import { Button } from "@/components/ui/button";
import { Card } from "@/components/ui/card";
import { DataTable } from "@/components/ui/data-table";
import { Heading } from "@/components/ui/heading";
import { texts } from "@/texts";

const { plugin } = texts;
/** More are shown when somebody asks: a plugin that stands in for another product has dozens. */
const SHOWN = 10;

/** Which routes a plugin answers, and to whom. */
export function RoutesCard({ id, routes }: { id: string; routes: NonNullable<Manifest["routes"]> }) {
  const [all, setAll] = useState(false);
  return (
    <Card aria-labelledby="routes-heading">
      <Heading id="routes-heading">{plugin.routes}</Heading>
      {routes.length === 0 ? (
        <p className="mt-2 text-muted">{plugin.noRoutes}</p>
      ) : (
        <>
          <p className="mt-1 mb-3 text-sm text-muted">{plugin.routesLead(`/api/plugins/${id}`)}</p>
          <DataTable
            label={plugin.routes}
            rows={all ? routes : routes.slice(0, SHOWN)}
            rowKey={(item) => `${item.path} ${item.methods?.join()}`}
            columns={[
              {
                title: plugin.method,
                className: "whitespace-nowrap text-muted",
                cell: (item) => (item.methods ?? ["GET"]).join(", "),
              },
              {
                title: plugin.path,
                cell: (item) => <code className="font-mono text-[0.8125rem] break-all">{item.path}</code>,
              },
              {
                title: plugin.access,
                cell: (item) => (
                  <>
                    {plugin.auth[item.auth ?? "session"] ?? item.auth}
                    {item.role === "admin" && ` (${plugin.adminOnly})`}
                  </>
                ),
              },
            ]}
          />
          {routes.length > SHOWN && (
            <Button size="small" className="mt-3" aria-expanded={all} onClick={() => setAll(!all)}>
              {all ? plugin.fewerRoutes : plugin.allRoutes(routes.length)}
            </Button>
          )}
        </>
      )}
    </Card>
  );
}
