import { type FormEvent, useEffect, useMemo, useRef, useState } from "react";
import type { PluginConfig } from "@/api/plugin-admin";
import { ApiProblem, messageOf } from "@/api/problem";
import { Alert } from "@/components/ui/alert";
import { Button } from "@/components/ui/button";
import type { PluginApi } from "@/plugin-host/scoped-api";
import { texts } from "@/texts";
import { ActionContext, SettingsAction } from "./action";
import { Part } from "./fields";
import { asSchema, labelOf, pointer, same, type Values } from "./schema";

export interface SettingsFormProps {
  config: PluginConfig;
  /** Reaches the plugin's own routes, for actions that its schema declares. */
  api?: PluginApi;
  /** Resolves with what is stored then; rejects with what is wrong. */
  onSave: (values: Values) => Promise<PluginConfig>;
  /** Whether there is anything that is not saved. */
  onDirty: (dirty: boolean) => void;
}

const { settings } = texts;

function errorsOf(error: unknown): ReadonlyMap<string, string> {
  const found = new Map<string, string>();
  if (!(error instanceof ApiProblem)) return found;
  for (const { path, message } of error.problem?.errors ?? []) {
    const place = path.replace(/^\/values(?=\/|$)/, "");
    if (!found.has(place)) found.set(place, message);
  }
  return found;
}

/**
 * A form for a plugin's settings, made from its schema.
 *
 * The server checks the values; what it says stands at its field. Secrets never come back: one that is stored shows
 * as stored, and stays as it is unless it is replaced or removed.
 */
export function SettingsForm({ config, api, onSave, onDirty }: SettingsFormProps) {
  const form = useRef<HTMLFormElement>(null);
  /** The secret whose buttons were pressed and are gone by that. */
  const turned = useRef<string | null>(null);
  const saveButton = useRef<HTMLButtonElement>(null);
  /** Fields that keep what is typed begin anew with each generation: when their values come from elsewhere. */
  const [{ values, generation }, setDraft] = useState({ values: config.values as Values, generation: 0 });
  const [state, setState] = useState<{ busy: boolean; error: unknown; saved: boolean }>({
    busy: false,
    error: null,
    saved: false,
  });
  const schema = asSchema(config.schema);
  const parts = Object.entries(schema.properties ?? {});
  const errors = useMemo(() => errorsOf(state.error), [state.error]);
  const known = new Set(parts.map(([name]) => pointer(name)));
  const elsewhere = [...errors].filter(([path]) => !known.has(path.split("/", 2).join("/")));
  const dirty = !same(values, config.values);

  const calls = useMemo(() => (api ? { api, dirty } : null), [api, dirty]);

  useEffect(() => onDirty(dirty), [dirty, onDirty]);
  // biome-ignore lint/correctness/useExhaustiveDependencies: each attempt anew, also when its errors are the same
  useEffect(() => {
    form.current?.querySelector<HTMLElement>("[aria-invalid=true]")?.focus();
  }, [state.error]);
  // biome-ignore lint/correctness/useExhaustiveDependencies: a secret is another control once its value is
  useEffect(() => {
    if (turned.current === null) return;
    const place = form.current?.querySelector(`[data-setting="${CSS.escape(turned.current)}"]`);
    place?.querySelector<HTMLElement>("input, button")?.focus();
    turned.current = null;
  }, [values]);
  useEffect(() => {
    // A field that was saved may be another one now, as a secret is.
    if (state.saved && document.activeElement === document.body) saveButton.current?.focus();
  }, [state.saved]);

  const set = (name: string, value: unknown) => {
    setState((before) => ({ ...before, saved: false }));
    setDraft(({ values: before, generation }) => {
      const { [name]: _old, ...rest } = before;
      return { values: value === undefined ? rest : { ...before, [name]: value }, generation };
    });
  };

  const turn = (name: string, value: unknown) => {
    turned.current = name;
    set(name, value);
  };

  const submit = async (event: FormEvent) => {
    event.preventDefault();
    if (state.busy) return;
    const unreadable = () => form.current?.querySelector<HTMLElement>("[data-unreadable]");
    if (unreadable()) {
      unreadable()?.focus();
      return;
    }
    if (!dirty) return;
    setState({ busy: true, error: null, saved: false });
    try {
      const stored = await onSave(values);
      // What was typed meanwhile stays, to be saved next: in the values, or in a field while it is no JSON.
      const typing = Boolean(unreadable());
      const anew = same(stored.values, values) ? 0 : 1;
      setDraft((now) =>
        typing || !same(now.values, values) ? now : { values: stored.values, generation: now.generation + anew },
      );
      setState({ busy: false, error: null, saved: true });
    } catch (error) {
      setState({ busy: false, error, saved: false });
    }
  };

  return (
    <form ref={form} noValidate onSubmit={(event) => void submit(event)} className="grid gap-5">
      <ActionContext value={calls}>
        {parts.map(([name, part]) => (
          <div key={name} data-setting={name} className="contents">
            {config.secrets[name] && !(name in values) ? (
              <StoredSecret label={labelOf(name, part)} onChange={(value) => turn(name, value)} />
            ) : values[name] === null && name in config.secrets ? (
              <RemovedSecret label={labelOf(name, part)} onUndo={() => turn(name, undefined)} />
            ) : (
              <Part
                key={generation}
                schema={name in config.secrets ? { ...part, "x-secret": true } : part}
                label={labelOf(name, part)}
                path={pointer(name)}
                value={values[name]}
                required={schema.required?.includes(name) ?? false}
                errors={errors}
                // A stored secret whose replacement is emptied is the stored one again, with its buttons.
                onChange={(value) => (config.secrets[name] && value === undefined ? turn : set)(name, value)}
              />
            )}
          </div>
        ))}
        <SettingsAction schema={schema} value={values} />
      </ActionContext>
      {state.error !== null && (
        <Alert level="error" urgent title={settings.refused}>
          {elsewhere.length > 0 || errors.size === 0 ? (
            <p>
              {messageOf(state.error)} {elsewhere.map(([path, message]) => `${path} ${message}`.trim()).join("; ")}
            </p>
          ) : (
            <p>{settings.atFields(errors.size)}</p>
          )}
        </Alert>
      )}
      <div className="flex flex-wrap items-center gap-3">
        <Button ref={saveButton} type="submit" variant="primary" busy={state.busy} aria-disabled={!dirty}>
          {state.busy ? settings.saving : settings.save}
        </Button>
        {dirty && !state.busy && (
          <Button
            onClick={() => {
              setDraft((now) => ({ values: config.values, generation: now.generation + 1 }));
              setState({ busy: false, error: null, saved: false });
              saveButton.current?.focus(); // this one goes
            }}
          >
            {settings.discard}
          </Button>
        )}
        <p role="status" className="text-sm text-muted">
          {state.saved && !dirty ? settings.saved(config.notified ?? null) : dirty ? settings.unsaved : ""}
        </p>
      </div>
    </form>
  );
}

function StoredSecret({ label, onChange }: { label: string; onChange: (value: unknown) => void }) {
  return (
    <div className="grid gap-1.5">
      <p className="text-sm font-medium">{label}</p>
      <div className="flex flex-wrap items-center gap-2">
        <span className="text-sm text-muted">{settings.stored}</span>
        <Button size="small" aria-label={settings.replaceSecret(label)} onClick={() => onChange("")}>
          {settings.replace}
        </Button>
        <Button
          size="small"
          variant="danger"
          aria-label={settings.removeSecret(label)}
          onClick={() => onChange(null)}
        >
          {settings.removeStored}
        </Button>
      </div>
    </div>
  );
}

function RemovedSecret({ label, onUndo }: { label: string; onUndo: () => void }) {
  return (
    <div className="grid gap-1.5">
      <p className="text-sm font-medium">{label}</p>
      <div className="flex flex-wrap items-center gap-2">
        <span className="text-sm text-warning">{settings.willBeRemoved}</span>
        <Button size="small" aria-label={settings.keepSecret(label)} onClick={onUndo}>
          {settings.keep}
        </Button>
      </div>
    </div>
  );
}
