import type { PluginDetail, Transition, UiManifest } from "../../src/api/plugins";

/** A plugin of the stand-in, with what the gateway keeps beside its detail. */
export interface FakePlugin {
  detail: PluginDetail;
  /** As its manifest has it. */
  ui: (Pick<UiManifest, "navItems" | "pages" | "isolation"> & Partial<Pick<UiManifest, "slots">>) | null;
  /** Source of its bundle. */
  bundle: string;
  bundleHash: string;
  transitions: Transition[];
  log: { stream: string; text: string }[];
}

type Partially = Partial<PluginDetail> & Pick<PluginDetail, "id" | "name">;

export function fakePlugin(detail: Partially, rest: Partial<Omit<FakePlugin, "detail">> = {}): FakePlugin {
  const at = new Date(Date.now() - 3 * 3_600_000).toISOString();
  return {
    detail: {
      version: "1.0.0",
      description: "",
      author: "",
      capabilities: [],
      enabled: false,
      state: "disabled",
      since: at,
      trusted: true,
      source: `folder:${detail.id}`,
      permissions: [],
      errors: [],
      createdAt: at,
      updatedAt: at,
      manifest: null,
      ...detail,
    },
    ui: null,
    bundle: "",
    bundleHash: "0123456789abcdef",
    transitions: [],
    log: [],
    ...rest,
  };
}

/** One plugin in each kind of state, so that every screen can be looked at. */
export function gallery(): FakePlugin[] {
  return [
    fakePlugin({
      id: "captions",
      name: "Captions",
      version: "2.4.1",
      author: "Media Tools",
      icon: "captions",
      description:
        "Finds subtitles for what is in the library and keeps them beside it, in the languages you choose.",
      capabilities: ["api", "ui", "events", "compat:sonarr"],
      enabled: true,
      state: "ready",
      permissions: ["media:read", "media:write", "network:egress", "plugins:call:indexer"],
    }),
    fakePlugin({
      id: "indexer",
      name: "Indexer",
      version: "1.8.0",
      author: "Media Tools",
      icon: "search",
      description: "Searches several sources at once.",
      capabilities: ["api"],
      enabled: true,
      state: "building",
      since: new Date(Date.now() - 14_000).toISOString(),
      progress: "Step 4/9 : RUN pip install --no-cache-dir -r requirements.lock",
    }),
    fakePlugin({
      id: "transcoder",
      name: "Transcoder",
      version: "0.9.3",
      author: "Hannah",
      icon: "film",
      description: "Makes smaller copies for phones.",
      capabilities: ["api", "events"],
      enabled: true,
      state: "quarantined",
      reason: {
        code: "exited",
        hop: "exit",
        message: "It stopped 5 times within 10 minutes, the last time with exit code 1.",
        hint: "Read the last lines below, put right what they name, then start it again.",
        logTail: [
          "Traceback (most recent call last):",
          '  File "/app/transcoder/__main__.py", line 12, in <module>',
          "    main()",
          "RuntimeError: no encoder found: install ffmpeg in the image",
        ],
      },
    }),
    fakePlugin({
      id: "broken",
      name: "broken",
      version: "0.0.0",
      description: "",
      state: "invalid",
      errors: [
        {
          path: "/routes/0/auth",
          message: "expected one of none, session, apikey",
          value: "sesion",
          suggestion: "session",
        },
        { path: "/runtime/port", message: "expected a number from 1 to 65535", value: "http" },
      ],
    }),
    fakePlugin({
      id: "notify",
      name: "Notifications with a name that is far too long to fit",
      version: "3.1.0-beta.2",
      author: "A collective of people with a long name",
      icon: "bell",
      description: "Tells you when something new has arrived.",
      capabilities: ["events", "webhooks"],
      enabled: true,
      state: "degraded",
      reason: {
        code: "check-failed",
        hop: "http",
        message: "The mail server cannot be reached.",
        hint: "Check the address in its settings.",
        logTail: [],
      },
    }),
  ];
}
