import type { PluginDetail } from "@/api/plugins";
import { Card } from "@/components/ui/card";
import { Heading } from "@/components/ui/heading";
import { texts } from "@/texts";
import { Dependencies, Dependents } from "../needs-list";

const { dependencies: words } = texts;

/** The plugins that it needs, and those that need it. Only where there are any. */
export function DependenciesCard({ plugin }: { plugin: Pick<PluginDetail, "dependencies" | "dependents"> }) {
  const { dependencies = [], dependents = [] } = plugin;
  if (dependencies.length + dependents.length === 0) return null;
  return (
    <Card aria-labelledby="dependencies-heading" className="grid grid-cols-1 gap-4">
      <Heading id="dependencies-heading">{words.title}</Heading>
      {dependencies.length > 0 && (
        <div className="grid grid-cols-1 gap-2">
          <Heading level={3}>{words.needs}</Heading>
          <Dependencies items={dependencies} />
        </div>
      )}
      {dependents.length > 0 && (
        <div className="grid grid-cols-1 gap-2">
          <Heading level={3}>{words.neededBy}</Heading>
          <Dependents items={dependents} />
        </div>
      )}
    </Card>
  );
}
