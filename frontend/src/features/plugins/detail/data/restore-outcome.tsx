import { Link } from "@tanstack/react-router";
import type { ReactNode } from "react";
import type { RestoreResult } from "@/api/backups";
import { bytes } from "@/components/bytes";
import { RelativeTime } from "@/components/relative-time";
import { Alert } from "@/components/ui/alert";
import { Heading } from "@/components/ui/heading";
import { texts } from "@/texts";

const { data } = texts;
const NAMES_SHOWN = 20;

/** What was brought back, and what is left for a person to do. */
export function RestoreOutcome({ pluginId, result }: { pluginId: string; result: RestoreResult }) {
  const { secretsMissing, leftOut } = result;
  const names = leftOut.names ?? [];
  const count = leftOut.count ?? names.length;
  const shown = names.slice(0, NAMES_SHOWN);
  return (
    <section aria-labelledby="outcome-heading" className="grid grid-cols-1 gap-3 border-t pt-4">
      <Heading level={3} id="outcome-heading">
        {data.outcome}
      </Heading>
      <dl className="text-sm">
        <Row term={data.version}>{result.version}</Row>
        <Row term={data.made}>
          <RelativeTime at={result.createdAt} />
        </Row>
        <Row term={data.settings}>{result.settings}</Row>
        <Row term={data.keys}>{result.keys}</Row>
        <Row term={data.ownFiles}>{data.size(result.files, bytes(result.dataBytes))}</Row>
      </dl>
      {result.installed && <Alert>{data.installed}</Alert>}
      {secretsMissing.length > 0 && (
        <Alert level="warning" title={data.missing(secretsMissing.length)}>
          <Names names={secretsMissing} />
          <Link
            to="/manage/plugins/$pluginId/settings"
            params={{ pluginId }}
            className="mt-1 inline-block rounded font-medium text-accent underline underline-offset-2"
          >
            {data.enter}
          </Link>
        </Alert>
      )}
      {count > 0 && (
        <Alert title={data.leftOut(count)}>
          <p>{data.leftOutLead}</p>
          <Names names={shown} />
          {count > shown.length && <p>{data.andMore(count - shown.length)}</p>}
        </Alert>
      )}
    </section>
  );
}

const Row = ({ term, children }: { term: string; children: ReactNode }) => (
  <div className="grid grid-cols-[minmax(0,1fr)_minmax(0,1fr)] gap-3 py-1.5">
    <dt className="text-muted">{term}</dt>
    <dd className="min-w-0 break-words tabular-nums">{children}</dd>
  </div>
);

const Names = ({ names }: { names: readonly string[] }) => (
  <ul className="list-disc pl-5">
    {names.map((name) => (
      <li key={name}>
        <code className="font-mono text-[0.8125rem] break-all">{name}</code>
      </li>
    ))}
  </ul>
);
