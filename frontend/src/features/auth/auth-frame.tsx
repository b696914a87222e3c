import type { ReactNode } from "react";
import { Brand } from "@/components/layout/brand";
import { useDocumentTitle } from "@/components/route-focus";
import { Card } from "@/components/ui/card";
import { Heading } from "@/components/ui/heading";

/** The quiet page round a form for people who are not signed in. */
export function AuthFrame({ title, lead, children }: { title: string; lead: string; children: ReactNode }) {
  useDocumentTitle(title);
  return (
    <main className="grid min-h-dvh content-center justify-items-center gap-7 px-4 py-10">
      <Brand className="text-xl" />
      <Card className="w-full max-w-[25rem] animate-rise sm:p-8">
        <Heading level={1} tabIndex={-1} data-route-focus>
          {title}
        </Heading>
        <p className="mt-1 text-muted">{lead}</p>
        <div className="mt-6">{children}</div>
      </Card>
    </main>
  );
}
