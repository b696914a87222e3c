import { useMutation, useQueryClient } from "@tanstack/react-query";
import { type FormEvent, useState } from "react";
import { grantPermissions, type PluginPermissions, permissionsQuery } from "@/api/installs";
import { messageOf } from "@/api/problem";
import { notify } from "@/components/toasts";
import { Alert } from "@/components/ui/alert";
import { Badge } from "@/components/ui/badge";
import { Button } from "@/components/ui/button";
import { CheckField } from "@/components/ui/check-field";
import { texts } from "@/texts";

const { consent } = texts;
const TONES = { low: "positive", medium: "warning", high: "danger" } as const;

/** How much a plugin could do if it meant harm, and why. */
export function RiskNote({ risk }: { risk: PluginPermissions["risk"] }) {
  return (
    <div className="grid gap-2 text-sm">
      <p className="flex flex-wrap items-center gap-2">
        <Badge tone={TONES[risk.level]}>{consent.risk[risk.level]}</Badge>
        <span className="text-muted">{consent.score(risk.score)}</span>
      </p>
      {risk.factors.length > 0 && (
        <ul className="grid list-disc gap-1 pl-5 text-muted">
          {risk.factors.map((factor) => (
            <li key={factor.code}>{factor.message}</li>
          ))}
        </ul>
      )}
    </div>
  );
}

export interface ConsentProps {
  given: PluginPermissions;
  /** Called when the decision is kept. */
  onDecided?: () => void;
}

/** What a plugin asks for, in words, and a person's decision about each. */
export function Consent({ given, onDecided }: ConsentProps) {
  const client = useQueryClient();
  const [granted, setGranted] = useState<ReadonlySet<string>>(
    () => new Set(given.requested.filter((item) => item.granted || !given.decided).map((item) => item.name)),
  );
  const decide = useMutation({
    mutationFn: () => grantPermissions(given.pluginId, [...granted]),
    onSuccess: async () => {
      await client.invalidateQueries({ queryKey: permissionsQuery(given.pluginId).queryKey });
      await client.invalidateQueries({ queryKey: ["plugins", "detail", given.pluginId] });
      notify(consent.kept);
      onDecided?.();
    },
  });
  const changed = !given.decided || given.requested.some((item) => item.granted !== granted.has(item.name));
  const submit = (event: FormEvent) => {
    event.preventDefault();
    if (!decide.isPending) decide.mutate();
  };
  const toggle = (name: string, on: boolean) => {
    const next = new Set(granted);
    if (on) next.add(name);
    else next.delete(name);
    setGranted(next);
  };
  return (
    <form onSubmit={submit} className="grid gap-4">
      {given.requested.length === 0 ? (
        <p className="text-sm text-muted">{texts.plugin.noPermissions}</p>
      ) : (
        <fieldset className="grid gap-3">
          <legend className="sr-only">{texts.plugin.permissions}</legend>
          {given.requested.map((item) => (
            <CheckField
              key={item.name}
              label={item.description}
              help={item.name}
              checked={granted.has(item.name)}
              onChange={(event) => toggle(item.name, event.target.checked)}
            />
          ))}
        </fieldset>
      )}
      {decide.isError && (
        <Alert level="error" urgent>
          {messageOf(decide.error)}
        </Alert>
      )}
      {changed && (given.requested.length > 0 || !given.decided) && (
        <Button type="submit" variant="primary" busy={decide.isPending} className="justify-self-start">
          {given.decided ? consent.change : consent.grant(granted.size)}
        </Button>
      )}
    </form>
  );
}
