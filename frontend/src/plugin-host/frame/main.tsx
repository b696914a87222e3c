import "../../styles.css";
import { StrictMode, use } from "react";
import { createRoot } from "react-dom/client";
import { PluginBoundary } from "../boundary";
import { FrameApi } from "../bridge/frame-api";
import { BRIDGE_VERSION, type FailureKind, type Render, type ToFrame, type ToHost } from "../bridge/protocol";
import { BundleContractError, BundleLoadError, pickComponent } from "../bundle";
import { PluginContext } from "../context";
import { bundles } from "../loader";
import type { PluginPageProps } from "../types";

/*
 * The document in which pages of plugins run that are not trusted: its origin is opaque, its policy lets it call
 * nothing, and all that it has of Nimbus is the port that the dashboard hands it.
 */

const container = document.getElementById("root");
if (!container) throw new Error("frame.html has no #root");
const root = createRoot(container);

function kindOf(error: Error): FailureKind {
  if (error instanceof BundleLoadError) return "load";
  return error instanceof BundleContractError ? "contract" : "crash";
}

function Loaded({ bundleUrl, wanted, props, shown }: Render & { props: PluginPageProps; shown: () => void }) {
  const PluginComponent = pickComponent(use(bundles.load(bundleUrl)), wanted);
  return (
    // As in the dashboard, where it is within the page's main part: a header in it is no banner of the whole document.
    <section ref={shown}>
      <PluginComponent {...props} />
    </section>
  );
}

function connect(port: MessagePort): void {
  const send = (message: ToHost, transfer: Transferable[] = []) => port.postMessage(message, transfer);
  const calls = new FrameApi(send);
  const navigate: PluginPageProps["navigate"] = (path, options) =>
    send({ type: "navigate", path, replace: options?.replace ?? false });
  const shown = () => send({ type: "ready" });
  const failed = (error: Error) => send({ type: "failed", kind: kindOf(error), message: error.message });

  const render = (message: Render) => {
    // Its background is that of what it is part of: the page, or the card that a slot is in.
    Object.assign(document.documentElement.dataset, { theme: message.props.theme, frame: message.wanted.kind });
    const props: PluginPageProps = { ...message.props, api: calls.api, navigate };
    root.render(
      <StrictMode>
        <PluginBoundary
          key={`${message.wanted.kind} ${message.wanted.at}`}
          fallback={(error) => <Failed error={error} report={failed} />}
        >
          <PluginContext value={props}>
            <Loaded {...message} props={props} shown={shown} />
          </PluginContext>
        </PluginBoundary>
      </StrictMode>,
    );
  };

  port.onmessage = ({ data }: MessageEvent<ToFrame>) => {
    if (data.type === "render") render(data);
    else if (data.type === "ping") send({ type: "pong" });
    else calls.received(data);
  };
  new ResizeObserver(() => send({ type: "height", pixels: Math.ceil(document.body.scrollHeight) })).observe(
    document.body,
  );
  window.addEventListener("keydown", (event) => {
    if (event.key.toLowerCase() !== "k" || !(event.ctrlKey || event.metaKey) || event.defaultPrevented) return;
    event.preventDefault();
    send({ type: "palette" });
  });
}

/** The dashboard says it, in its own words and with its own buttons. */
function Failed({ error, report }: { error: Error; report: (error: Error) => void }) {
  return <span ref={() => report(error)} />;
}

window.addEventListener("message", function greeted({ source, data, ports: [port] }) {
  if (source !== window.parent || data?.nimbus !== BRIDGE_VERSION || !port) return;
  window.removeEventListener("message", greeted);
  connect(port);
});
