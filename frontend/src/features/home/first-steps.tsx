import { Link } from "@tanstack/react-router";
import { Rocket } from "lucide-react";
import { Button } from "@/components/ui/button";
import { Card } from "@/components/ui/card";
import { Heading } from "@/components/ui/heading";
import { texts } from "@/texts";

const { home } = texts;

/** For a Nimbus that runs nothing yet: what plugins are, and the way to the first. */
export function FirstSteps({ admin }: { admin: boolean }) {
  return (
    <Card aria-labelledby="first-steps" className="flex flex-wrap items-start gap-5">
      <span className="grid size-12 shrink-0 place-items-center rounded-2xl bg-accent-soft text-accent">
        <Rocket aria-hidden="true" className="size-6" strokeWidth={1.6} />
      </span>
      <div className="grid min-w-0 flex-1 basis-72 gap-4">
        <Heading id="first-steps">{home.firstTitle}</Heading>
        <p className="max-w-prose text-pretty text-muted">{home.firstLead}</p>
        <dl className="grid gap-4 md:grid-cols-3">
          {home.firstFacts.map(([fact, meaning]) => (
            <div key={fact}>
              <dt className="font-medium">{fact}</dt>
              <dd className="text-sm text-pretty text-muted">{meaning}</dd>
            </div>
          ))}
        </dl>
        {admin ? (
          <div>
            <Button variant="primary" asChild>
              <Link to="/plugins">{home.firstAction}</Link>
            </Button>
          </div>
        ) : (
          <p className="text-muted">{texts.host.offUser}</p>
        )}
      </div>
    </Card>
  );
}
