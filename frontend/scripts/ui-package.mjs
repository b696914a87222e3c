// The npm package @nimbus/ui: the types of what the dashboard shares with plugin pages, out of the dashboard's own
// sources, as one declaration file. `build` writes what follows from them; a copy goes into the SDK's template.
import { execFileSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import ts from "typescript";

const root = path.resolve(import.meta.dirname, "..");
const ENTRY = path.join(root, "src/shared/nimbus-ui.ts");
const SHARED = path.join(root, "vite/shared-modules.ts");
const HEAD = "// Written by `npm run ui:build` from the dashboard's sources. Change those.\n";

/** Where each generated text belongs, from the repository's root. */
const TARGETS = {
  types: "frontend/ui-package/index.d.ts",
  external: "frontend/ui-package/external.js",
  template: "sdk/src/nimbus_sdk/cli/templates/ui/types/nimbus-ui.d.ts.tmpl",
};

function settings() {
  const { config } = ts.readConfigFile(path.join(root, "tsconfig.json"), ts.sys.readFile);
  return ts.parseJsonConfigFileContent(config, ts.sys, root).options;
}

/** The declarations of every source that the entry needs, by the source's path. */
function emitted(options) {
  const program = ts.createProgram([ENTRY, path.join(root, "src/virtual.d.ts")], {
    ...options,
    noEmit: false,
    declaration: true,
    emitDeclarationOnly: true,
    allowImportingTsExtensions: false,
  });
  const found = new Map();
  const { diagnostics } = program.emit(undefined, (_name, text, _bom, _error, sources) => {
    found.set(sources[0].fileName, ts.createSourceFile(sources[0].fileName, text, ts.ScriptTarget.ES2023, true));
  });
  if (diagnostics.length > 0) throw new Error(ts.formatDiagnostics(diagnostics, ts.createCompilerHost(options)));
  return found;
}

/** What a module declares, imports and passes on. */
function contents(file, resolve) {
  const declared = new Map();
  const imported = new Map();
  const passedOn = [];
  for (const node of file.statements) {
    if (ts.isImportDeclaration(node)) {
      for (const item of node.importClause?.namedBindings?.elements ?? []) {
        imported.set(item.name.text, { from: resolve(node), name: (item.propertyName ?? item.name).text });
      }
    } else if (ts.isExportDeclaration(node)) {
      const from = node.moduleSpecifier ? resolve(node) : null;
      for (const item of node.exportClause?.elements ?? []) {
        const exported = { name: item.name.text, inner: (item.propertyName ?? item.name).text };
        if (from) imported.set(exported.name, { from, name: exported.inner });
        passedOn.push({ ...exported, type: node.isTypeOnly || item.isTypeOnly });
      }
    } else if (ts.isVariableStatement(node)) {
      for (const item of node.declarationList.declarations) declared.set(item.name.text, node);
    } else if (node.name) {
      declared.set(node.name.text, node);
    }
  }
  return { declared, imported, passedOn };
}

/** The names in a declaration that may stand for others. */
function namesIn(node) {
  const names = new Set();
  const visit = (child) => {
    if (ts.isIdentifier(child)) names.add(child.text);
    ts.forEachChild(child, visit);
  };
  visit(node);
  return names;
}

/** One declaration file with all that the entry exports, and of the rest only what that needs. */
function types() {
  const options = settings();
  const files = emitted(options);
  const resolve = (file) => (node) => {
    const wanted = node.moduleSpecifier.text;
    const { resolvedModule } = ts.resolveModuleName(wanted, file.fileName, options, ts.sys);
    return resolvedModule && files.has(resolvedModule.resolvedFileName) ? resolvedModule.resolvedFileName : wanted;
  };
  const modules = new Map([...files].map(([name, file]) => [name, contents(file, resolve(file))]));
  const outside = new Map();
  const taken = new Map();
  const texts = [];

  const take = (name, from) => {
    const module = modules.get(from);
    if (!module) {
      outside.set(from, (outside.get(from) ?? new Set()).add(name));
      return;
    }
    const node = module.declared.get(name);
    if (!node) {
      const source = module.imported.get(name);
      if (source) take(source.name, source.from);
      return;
    }
    if (taken.has(name)) {
      if (taken.get(name) !== from)
        throw new Error(`two declarations are called ${name}: ${taken.get(name)}, ${from}`);
      return;
    }
    taken.set(name, from);
    for (const inner of namesIn(node)) {
      if (inner !== name && (module.declared.has(inner) || module.imported.has(inner))) take(inner, from);
    }
    texts.push(
      node
        .getFullText()
        .trim()
        .replace(/^((?:\/\*[\s\S]*?\*\/\s*)?)export /, "$1"),
    );
  };

  const entry = modules.get(ENTRY);
  for (const { name } of entry.passedOn) take(name, ENTRY);
  const imports = [...outside].map(
    ([from, names]) => `import type { ${[...names].sort().join(", ")} } from "${from}";`,
  );
  const exports = entry.passedOn.map(({ name, type }) => `${type ? "type " : ""}${name}`).sort();
  const head =
    files
      .get(ENTRY)
      .getFullText()
      .match(/^\/\*\*[\s\S]*?\*\//)?.[0] ?? "";
  const declared = texts.map((text) =>
    text.replace(/^((?:\/\*[\s\S]*?\*\/\s*)?)(class|function|const) /, "$1declare $2 "),
  );
  return [HEAD + head, imports.sort().join("\n"), ...declared, `export { ${exports.join(", ")} };\n`].join("\n\n");
}

/** What bundlers must leave to the dashboard. */
async function external() {
  const source = readFileSync(SHARED, "utf8");
  const { outputText } = ts.transpileModule(source, {
    compilerOptions: { module: ts.ModuleKind.ESNext, target: ts.ScriptTarget.ES2023 },
  });
  const { SHARED_MODULES } = await import(`data:text/javascript,${encodeURIComponent(outputText)}`);
  const list = Object.keys(SHARED_MODULES).map((name) => `  ${JSON.stringify(name)},\n`);
  return `${HEAD}/** Modules that come from the dashboard: give this to the bundler as \`external\`. */\nexport const external = [\n${list.join("")}];\n`;
}

/** The generated texts by their path from the repository's root. */
async function generated() {
  const declarations = types();
  return new Map([
    [TARGETS.types, declarations],
    [TARGETS.external, await external()],
    [TARGETS.template, declarations],
  ]);
}

/** What is wrong with the page of the SDK's template by the types that lie beside it. */
function templateErrors() {
  const folder = path.join(root, "../sdk/src/nimbus_sdk/cli/templates/ui");
  const text = (name) => readFileSync(path.join(folder, `${name}.tmpl`), "utf8");
  const { compilerOptions } = JSON.parse(text("jsconfig.json"));
  const at = path.join(root, "ui-package/template"); // where React's types are found; no such folder is made
  const files = new Map(["web/main.js", "types/nimbus-ui.d.ts"].map((name) => [path.join(at, name), text(name)]));
  const { options } = ts.convertCompilerOptionsFromJson({ ...compilerOptions, allowJs: true, noEmit: true }, at);
  const host = ts.createCompilerHost(options);
  const { fileExists, getSourceFile } = host;
  host.fileExists = (name) => files.has(name) || fileExists(name);
  host.getSourceFile = (name, language, ...rest) =>
    files.has(name)
      ? ts.createSourceFile(name, files.get(name), language, true)
      : getSourceFile(name, language, ...rest);
  const program = ts.createProgram([...files.keys()], options, host);
  return ts.formatDiagnostics(ts.getPreEmitDiagnostics(program), host);
}

/** What `npm pack` would put into the package. */
function packed() {
  const said = execFileSync("npm", ["pack", "--dry-run", "--json"], {
    cwd: path.join(root, "ui-package"),
    encoding: "utf8",
    stdio: ["ignore", "pipe", "ignore"],
  });
  return Object.values(JSON.parse(said))[0]
    .files.map((file) => file.path)
    .sort();
}

const PACKED = ["README.md", "external.d.ts", "external.js", "index.d.ts", "package.json"];

async function check() {
  const wrong = [];
  for (const [name, text] of await generated()) {
    if (readFileSync(path.join(root, "..", name), "utf8") !== text)
      wrong.push(`${name} is stale. Run: npm run ui:build`);
  }
  const said = templateErrors();
  if (said) wrong.push(`the page of the template does not fit its types:\n${said}`);
  const files = packed();
  if (files.join() !== PACKED.join()) wrong.push(`npm pack takes ${files.join(", ")}; expected ${PACKED.join(", ")}`);
  return wrong;
}

if (process.argv[2] === "build") {
  for (const [name, text] of await generated()) writeFileSync(path.join(root, "..", name), text);
} else {
  const wrong = await check();
  for (const line of wrong) process.stderr.write(`${line}\n`);
  if (wrong.length > 0) process.exitCode = 1;
  else process.stdout.write("The package @nimbus/ui is what the dashboard shares.\n");
}
