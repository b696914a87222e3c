import { useCallback, useEffect, useRef, useState } from "react";
import { openPalette } from "@/components/palette/open";
import { Spinner } from "@/components/ui/spinner";
import { texts } from "@/texts";
import { HostBridge } from "./bridge/host";
import { BRIDGE_VERSION, type FailureKind } from "./bridge/protocol";
import { BundleContractError, BundleLoadError, type Wanted } from "./bundle";
import type { PluginPageProps } from "./types";

export interface FramedProps {
  bundleUrl: string;
  wanted: Wanted;
  props: PluginPageProps;
  /** What the frame is called for screen readers. */
  title: string;
}

const FRAME_URL = "/plugin-frame";
const START_MS = 15_000;
const MIN_HEIGHT = 24;
const MAX_HEIGHT = 20_000;

function errorOf(kind: FailureKind, message: string): Error {
  if (kind === "load") return new BundleLoadError(message);
  return kind === "contract" ? new BundleContractError(message) : new Error(message);
}

/**
 * A plugin's page or slot in a frame of its own, for plugins that are not trusted or ask for it.
 *
 * The frame's origin is opaque: it has neither cookies nor storage of the dashboard. What goes wrong in it is thrown
 * here, into the boundary round the slot.
 */
export function Framed({ bundleUrl, wanted, props, title }: FramedProps) {
  const frame = useRef<HTMLIFrameElement>(null);
  const bridge = useRef<HostBridge | null>(null);
  const latest = useRef(props);
  const [ready, setReady] = useState(false);
  const [height, setHeight] = useState(MIN_HEIGHT);
  const [error, setError] = useState<Error | null>(null);

  const render = useCallback(() => {
    const { api: _api, navigate: _navigate, ...plain } = latest.current;
    bridge.current?.render({ bundleUrl, wanted, props: plain });
  }, [bundleUrl, wanted]);

  useEffect(() => {
    latest.current = props;
    render();
  }, [props, render]);

  useEffect(() => {
    if (ready) return;
    const timer = setTimeout(() => setError(new BundleLoadError(texts.host.frameSilent)), START_MS);
    return () => clearTimeout(timer);
  }, [ready]);

  useEffect(() => () => bridge.current?.close(), []);

  const connect = () => {
    const target = frame.current?.contentWindow;
    if (!target) return;
    if (bridge.current) {
      // The document was replaced: whatever is there now is not the frame that the port was given to.
      setError(new Error(texts.host.frameLeft));
      return;
    }
    const { port1, port2 } = new MessageChannel();
    bridge.current = new HostBridge(port1, {
      api: (...call) => latest.current.api(...call),
      navigate: (...to) => latest.current.navigate(...to),
      onReady: () => setReady(true),
      onFailed: (kind, message) => setError(errorOf(kind, message)),
      onHeight: (pixels) => setHeight(Math.min(Math.max(pixels, MIN_HEIGHT), MAX_HEIGHT)),
      onPalette: openPalette,
      onSilent: () => setError(new Error(texts.host.frameSilent)),
    });
    // An opaque origin cannot be named; the content security policy lets only this Nimbus be in the frame.
    target.postMessage({ nimbus: BRIDGE_VERSION }, "*", [port2]);
    render();
  };

  if (error) throw error;
  return (
    <>
      {!ready && (
        <div className="grid min-h-48 place-items-center text-muted">
          <Spinner className="size-5" label={texts.host.loading(props.plugin.name)} />
        </div>
      )}
      <iframe
        ref={frame}
        title={title}
        src={FRAME_URL}
        sandbox="allow-scripts allow-forms"
        referrerPolicy="no-referrer"
        onLoad={connect}
        className={ready ? "block w-full" : "invisible absolute size-0"}
        style={ready ? { height } : undefined}
      />
    </>
  );
}
