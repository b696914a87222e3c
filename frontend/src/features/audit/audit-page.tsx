import { useInfiniteQuery } from "@tanstack/react-query";
import { ScrollText } from "lucide-react";
import { type FormEvent, useState } from "react";
import { type AuditFilter, type AuditRecord, auditQuery } from "@/api/audit";
import { Loaded } from "@/components/loaded";
import { More } from "@/components/more";
import { PageHeader } from "@/components/page";
import { exactTime, RelativeTime } from "@/components/relative-time";
import { Badge } from "@/components/ui/badge";
import { Button } from "@/components/ui/button";
import { Card } from "@/components/ui/card";
import { DataTable } from "@/components/ui/data-table";
import { EmptyState } from "@/components/ui/empty-state";
import { Field } from "@/components/ui/field";
import { texts } from "@/texts";

const { audit } = texts;

/** What an action was about, in one line. */
function facts(detail: AuditRecord["detail"]): string {
  return Object.entries(detail)
    .map(([name, value]) => `${name}: ${typeof value === "string" ? value : JSON.stringify(value)}`)
    .join(", ");
}

export default function AuditPage() {
  const [filter, setFilter] = useState<AuditFilter>({});
  const query = useInfiniteQuery(auditQuery(filter));
  const apply = (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault();
    const data = new FormData(event.currentTarget);
    const action = String(data.get("action")).trim();
    const target = String(data.get("target")).trim();
    setFilter({ ...(action && { action }), ...(target && { target }) });
  };
  const filtered = Object.keys(filter).length > 0;
  return (
    <>
      <PageHeader title={audit.title} lead={audit.lead} />
      <form
        onSubmit={apply}
        onReset={() => setFilter({})}
        aria-label={audit.filter}
        className="mb-5 flex flex-wrap items-end gap-3"
      >
        <Field label={audit.action} name="action" placeholder="plugin.enable" className="w-full sm:w-52" />
        <Field label={audit.target} name="target" placeholder="plugin:hello" className="w-full sm:w-52" />
        <Button type="submit">{audit.apply}</Button>
        {filtered && (
          <Button type="reset" variant="ghost">
            {audit.all}
          </Button>
        )}
      </form>
      <Loaded query={query} failed={audit.loadFailed}>
        {(rows) =>
          rows.length === 0 ? (
            <EmptyState icon={ScrollText} title={filtered ? audit.noMatchTitle : audit.emptyTitle}>
              <p>{filtered ? audit.noMatchLead : audit.emptyLead}</p>
            </EmptyState>
          ) : (
            <Card>
              <DataTable
                label={audit.title}
                rows={rows}
                rowKey={(row) => row.id}
                columns={[
                  {
                    title: audit.at,
                    className: "whitespace-nowrap text-muted",
                    cell: (row) => <span title={exactTime(row.at)}>{<RelativeTime at={row.at} />}</span>,
                  },
                  {
                    title: audit.who,
                    cell: (row) => <span className="break-words">{row.actorName || row.actor}</span>,
                  },
                  {
                    title: audit.what,
                    cell: (row) => (
                      <>
                        <code className="font-mono text-[0.8125rem]">{row.action}</code>{" "}
                        {row.outcome !== "done" && <Badge tone="danger">{row.outcome}</Badge>}
                        <span className="block text-muted break-all">{facts(row.detail)}</span>
                      </>
                    ),
                  },
                  {
                    title: audit.target,
                    cell: (row) =>
                      row.target &&
                      row.target !== row.actor && (
                        <code className="font-mono text-[0.8125rem] break-all">{row.target}</code>
                      ),
                  },
                  { title: audit.from, className: "text-muted", cell: (row) => row.address },
                ]}
              />
            </Card>
          )
        }
      </Loaded>
      <More {...query} />
    </>
  );
}
