import { type FormEvent, type ReactNode, useState } from "react";
import { messageOf } from "@/api/problem";
import { texts } from "@/texts";
import { Alert } from "./alert";
import { Button } from "./button";
import { Dialog } from "./dialog";
import { Field } from "./field";

export interface ConfirmProps {
  title: string;
  /** What is lost, in words. */
  children: ReactNode;
  /** The button's words: the action itself, never "OK". */
  action: string;
  /** Has to be typed first, where nothing brings it back. */
  typed?: string;
  busy: boolean;
  error?: unknown;
  onConfirm: () => void;
  onClose: () => void;
}

/** Asks before something is lost. */
export function Confirm({ title, children, action, typed, busy, error, onConfirm, onClose }: ConfirmProps) {
  const [text, setText] = useState("");
  const ready = typed === undefined || text.trim() === typed;
  const submit = (event: FormEvent) => {
    event.preventDefault();
    if (ready && !busy) onConfirm();
  };
  return (
    <Dialog title={title} onClose={onClose}>
      <form onSubmit={submit} className="grid gap-4">
        <div className="grid gap-2 text-pretty">{children}</div>
        {typed !== undefined && (
          <Field
            label={texts.confirm.type(typed)}
            value={text}
            onChange={(event) => setText(event.target.value)}
            autoComplete="off"
            autoCapitalize="none"
            spellCheck={false}
          />
        )}
        {error !== undefined && error !== null && (
          <Alert level="error" urgent>
            {messageOf(error)}
          </Alert>
        )}
        <div className="flex flex-wrap justify-end gap-3">
          <Button onClick={onClose}>{texts.confirm.cancel}</Button>
          <Button type="submit" variant="danger" busy={busy} disabled={!ready}>
            {action}
          </Button>
        </div>
      </form>
    </Dialog>
  );
}
