/** Installing a plugin, and what it may do. */
export const install = {
  title: "Install a plugin",
  lead: "It is listed as off first. What it may do is your decision.",
  from: "Install from",
  sources: {
    image: {
      name: "Image",
      label: "Image",
      help: "The name of a container image that carries its manifest.",
      example: "example/subtitles:1.2.0",
    },
    path: {
      name: "Folder",
      label: "Folder",
      help: "A folder with a manifest.json in the plugins folder.",
      example: "subtitles",
    },
    manifest: {
      name: "Manifest",
      label: "Manifest (JSON)",
      help: "The content of a manifest.json. The image that it names is fetched.",
      example: "",
    },
  },
  notJson: "This is not valid JSON.",
  action: "Install",
  busy: "Installing…",
  refused: "It was not installed",
  jobs: "Under way and lately",
  jobsFailed: "The installations could not be loaded",
  noJobs: "Nothing is being installed.",
  layers: "Layers of the image",
  layer: (id: string) => `Layer ${id}`,
  layersHere: (here: number, all: number) => `${here} of ${all} ${all === 1 ? "layer is" : "layers are"} here.`,
  states: { running: "Fetching", done: "Installed", failed: "Failed" },
  decide: (name: string) => `What ${name} may do`,
  decideLead: "It gets what you tick, and nothing else. You can change it at any time.",
  decided: (name: string) => `${name} is installed and can be enabled.`,
} as const;

export const consent = {
  loadFailed: "The permissions could not be loaded",
  risk: { low: "Low risk", medium: "Medium risk", high: "High risk" },
  score: (score: number) => `${score} of 10`,
  grant: (count: number) => (count === 0 ? "Grant nothing" : `Grant ${count === 1 ? "this" : `these ${count}`}`),
  change: "Change permissions",
  kept: "The permissions are kept.",
  undecided: "Nobody has decided yet what it may do. It cannot be enabled before.",
} as const;
