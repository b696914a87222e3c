import { useMutation } from "@tanstack/react-query";
import { createContext, useContext } from "react";
import { messageOf, problemOf } from "@/api/problem";
import { Alert } from "@/components/ui/alert";
import { Button } from "@/components/ui/button";
import type { PluginApi } from "@/plugin-host/scoped-api";
import { texts } from "@/texts";
import { type Action, actionPath, type Schema } from "./schema";

const { settings } = texts;

/** How an action reaches the plugin, and whether what it would try is what is stored. */
export interface ActionCalls {
  api: PluginApi;
  dirty: boolean;
}

export const ActionContext = createContext<ActionCalls | null>(null);

/** What a plugin answers to an action. */
interface Answer {
  ok: boolean;
  detail: string;
}

function isAnswer(body: unknown): body is Answer {
  return typeof body === "object" && body !== null && "ok" in body && typeof body.ok === "boolean";
}

async function act(api: PluginApi, path: string): Promise<Answer> {
  const response = await api(path, { method: "POST" });
  const body: unknown = await response.json().catch(() => null);
  if (!response.ok) throw problemOf(body, response);
  return isAnswer(body) ? { ok: body.ok, detail: String(body.detail ?? "") } : { ok: true, detail: "" };
}

/**
 * A button beside settings that tries them, where their schema declares one (`x-action`).
 *
 * It calls a declared route of the plugin, as the person who presses it. The plugin works with what is stored, so
 * changes have to be saved first.
 */
export function SettingsAction({ schema, value, of }: { schema: Schema; value: unknown; of?: string }) {
  const calls = useContext(ActionContext);
  const action = schema["x-action"];
  if (!calls || !action) return null;
  return <Trial calls={calls} action={action} path={actionPath(action.path, value)} of={of} />;
}

interface TrialProps {
  calls: ActionCalls;
  action: Action;
  /** `null` while a value for it is missing. */
  path: string | null;
  of: string | undefined;
}

function Trial({ calls, action, path, of }: TrialProps) {
  const run = useMutation({ mutationFn: ({ api, to }: { api: PluginApi; to: string }) => act(api, to) });
  const ready = path !== null && !calls.dirty;
  return (
    <div className="mt-3 grid gap-2">
      <div className="flex flex-wrap items-center gap-3">
        <Button
          size="small"
          disabled={!ready}
          busy={run.isPending}
          aria-label={of ? `${action.label}: ${of}` : action.label}
          onClick={() => path !== null && run.mutate({ api: calls.api, to: path })}
        >
          {action.label}
        </Button>
        {!ready && <span className="text-sm text-muted">{settings.saveFirst}</span>}
      </div>
      {run.isError && (
        <Alert level="error" urgent title={settings.actionFailed(action.label)}>
          {messageOf(run.error)}
        </Alert>
      )}
      {run.data && (
        <Alert level={run.data.ok ? "info" : "error"} urgent title={settings.actionDone(action.label, run.data.ok)}>
          {run.data.detail}
        </Alert>
      )}
    </div>
  );
}
