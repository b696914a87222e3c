import type { PluginVersion } from "@/api/plugin-admin";
import { texts } from "@/texts";

const { versions } = texts;
const day = new Intl.DateTimeFormat("en", { dateStyle: "medium", timeZone: "UTC" });

/** What versions changed, in the words of the plugin's author. */
export const Changelog = ({ entries }: { entries: NonNullable<PluginVersion["changelog"]> }) => (
  <ul className="grid gap-3 text-sm">
    {entries.map((entry) => (
      <li key={entry.version}>
        <span className="font-medium">{entry.version}</span>{" "}
        {entry.date && <time className="text-muted">{day.format(new Date(entry.date))}</time>}
        <ul className="mt-1 list-disc pl-5 break-words">
          {entry.changes.map((change) => (
            <li key={change}>{change}</li>
          ))}
        </ul>
      </li>
    ))}
  </ul>
);

/** The same folded away, where a version is only listed. */
export const ChangelogDetails = ({ version }: { version: PluginVersion }) =>
  (version.changelog?.length ?? 0) > 0 && (
    <details>
      <summary className="w-fit cursor-pointer rounded text-sm text-muted">
        {versions.changesOf(version.version)}
      </summary>
      <div className="mt-2">
        <Changelog entries={version.changelog ?? []} />
      </div>
    </details>
  );
