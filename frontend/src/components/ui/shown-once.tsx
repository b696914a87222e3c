import { Check, Copy } from "lucide-react";
import { type ReactNode, useState } from "react";
import { texts } from "@/texts";
import { notify } from "../toasts";
import { Alert } from "./alert";
import { Button } from "./button";
import { Dialog } from "./dialog";

export interface ShownOnceProps {
  title: string;
  /** Why it has to be kept now. */
  warning: string;
  /** What is shown. */
  value: string;
  /** The words of the button that copies it. */
  copy: string;
  children?: ReactNode;
  onClose: () => void;
}

/** A key, secret or link that cannot be shown again. */
export function ShownOnce({ title, warning, value, copy, children, onClose }: ShownOnceProps) {
  const [copied, setCopied] = useState(false);
  const take = async () => {
    try {
      await navigator.clipboard.writeText(value);
      setCopied(true);
    } catch {
      // Without a secure address browsers give no clipboard; it can be marked and copied by hand.
      notify(texts.once.copyByHand);
    }
  };
  return (
    <Dialog title={title} onClose={onClose}>
      <div className="grid gap-4">
        <Alert level="warning">{warning}</Alert>
        <code className="block rounded-lg bg-sunken p-3 font-mono text-sm break-all select-all">{value}</code>
        {children}
        <div className="flex flex-wrap justify-end gap-3">
          <Button onClick={() => void take()}>
            {copied ? <Check aria-hidden="true" /> : <Copy aria-hidden="true" />}
            {copied ? texts.once.copied : copy}
          </Button>
          <Button variant="primary" onClick={onClose}>
            {texts.once.kept}
          </Button>
        </div>
        <p role="status" className="sr-only">
          {copied && texts.once.copied}
        </p>
      </div>
    </Dialog>
  );
}
