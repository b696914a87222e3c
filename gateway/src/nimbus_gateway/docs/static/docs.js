const METHODS = ["get", "post", "put", "patch", "delete"];
const $ = (id) => document.getElementById(id);

function make(tag, properties = {}, ...children) {
  const node = Object.assign(document.createElement(tag), properties);
  node.append(...children.filter((child) => child !== null && child !== undefined));
  return node;
}

function resolve(api, schema) {
  const path = schema?.$ref?.replace("#/", "").split("/");
  return path ? path.reduce((part, name) => part?.[name], api) : schema;
}

/** An example value of a schema, so that the body field starts with something to change. */
function example(api, schema, depth = 0) {
  const found = resolve(api, schema);
  if (!found || depth > 4) return null;
  if (found.default !== undefined) return found.default;
  if (found.examples?.length) return found.examples[0];
  if (found.const !== undefined) return found.const;
  if (found.enum) return found.enum[0];
  if (found.anyOf) return example(api, found.anyOf[0], depth + 1);
  if (found.type === "array") return [];
  if (found.type === "object") {
    const parts = Object.entries(found.properties ?? {});
    return Object.fromEntries(parts.map(([name, part]) => [name, example(api, part, depth + 1)]));
  }
  return { string: "", integer: 0, number: 0, boolean: false }[found.type] ?? null;
}

function typeName(api, schema) {
  if (!schema) return "";
  if (schema.$ref) return schema.$ref.split("/").pop();
  if (schema.anyOf) return schema.anyOf.map((part) => typeName(api, part)).join(" | ");
  if (schema.type === "array") return `${typeName(api, schema.items)}[]`;
  return schema.enum ? schema.enum.map((value) => JSON.stringify(value)).join(" | ") : (schema.type ?? "any");
}

function shape(api, schema, depth = 0) {
  const found = resolve(api, schema);
  if (!found?.properties || depth > 3) return "";
  const needed = new Set(found.required ?? []);
  return Object.entries(found.properties)
    .map(([name, part]) => `${"  ".repeat(depth)}${name}${needed.has(name) ? "" : "?"}: ${typeName(api, part)}\n${shape(api, part.items ?? part, depth + 1)}`)
    .join("");
}

function table(head, rows) {
  const cells = (tag, values) => make("tr", {}, ...values.map((value) => make(tag, {}, value)));
  return make("table", {}, make("thead", {}, cells("th", head)), make("tbody", {}, ...rows.map((row) => cells("td", row))));
}

async function send(method, path, inputs, body, output) {
  const query = new URLSearchParams();
  const headers = {};
  let target = path;
  for (const { parameter, field } of inputs) {
    if (field.value === "") continue;
    if (parameter.in === "path") target = target.replace(`{${parameter.name}}`, encodeURIComponent(field.value));
    else if (parameter.in === "query") query.set(parameter.name, field.value);
    else if (parameter.in === "header") headers[parameter.name] = field.value;
  }
  if ($("key").value) headers.Authorization = `Bearer ${$("key").value}`;
  if (body) headers["Content-Type"] = "application/json";
  output.hidden = false;
  output.textContent = "…";
  try {
    const address = query.size ? `${target}?${query}` : target;
    const signal = AbortSignal.timeout(130_000);
    const credentials = headers.Authorization ? "omit" : "same-origin";
    const answer = await fetch(address, { method: method.toUpperCase(), headers, body: body?.value, signal, credentials });
    output.textContent = `${answer.status} ${answer.statusText}\n`;
    if (answer.headers.get("content-type")?.startsWith("text/event-stream")) return await follow(answer, output);
    const text = await answer.text();
    try {
      output.textContent += JSON.stringify(JSON.parse(text), null, 2);
    } catch {
      output.textContent += text;
    }
  } catch (error) {
    output.textContent += `\n${error}`;
  }
}

async function follow(answer, output) {
  const decoder = new TextDecoder();
  for await (const chunk of answer.body) {
    output.textContent = (output.textContent + decoder.decode(chunk, { stream: true })).slice(-20_000);
  }
}

function operation(api, method, path, details) {
  const inputs = (details.parameters ?? [])
    .map((parameter) => resolve(api, parameter))
    .filter((parameter) => parameter.in !== "cookie")
    .map((parameter) => ({ parameter, field: make("input", { ariaLabel: parameter.name, placeholder: typeName(api, parameter.schema) }) }));
  const schema = details.requestBody?.content?.["application/json"]?.schema;
  const body = schema ? make("textarea", { ariaLabel: "Body", spellcheck: false, value: JSON.stringify(example(api, schema), null, 2) }) : null;
  const output = make("pre", { hidden: true, tabIndex: 0 });
  const run = make("button", { type: "button", textContent: "Send" });
  run.addEventListener("click", () => send(method, path, inputs, body, output));
  const answers = Object.entries(details.responses ?? {}).map(([status, answer]) => {
    const content = Object.entries(answer.content ?? {})[0];
    return [status, answer.description ?? "", content ? `${content[0]} ${typeName(api, content[1].schema)}` : ""];
  });
  const parameters = inputs.map(({ parameter, field }) => [
    `${parameter.name}${parameter.required ? " *" : ""}`, parameter.in, parameter.description ?? "", field,
  ]);
  return make(
    "details",
    { id: details.operationId },
    make("summary", {}, make("span", { className: "method", textContent: method.toUpperCase() }), make("code", { textContent: path }), make("span", { textContent: (details.description ?? "").split("\n")[0] })),
    make(
      "div",
      { className: "body" },
      make("p", { textContent: details.description ?? "" }),
      parameters.length ? table(["Parameter", "In", "Meaning", "Value"], parameters) : null,
      body ? make("h4", { textContent: `Body: ${typeName(api, schema)}` }) : null,
      body ? make("pre", { textContent: shape(api, schema), tabIndex: 0 }) : null,
      body,
      run,
      output,
      make("h4", { textContent: "Answers" }),
      table(["Status", "Meaning", "Body"], answers),
    ),
  );
}

function show(api) {
  $("title").textContent = `${api.info.title} API ${api.info.version}`;
  $("description").textContent = api.info.description ?? "";
  const groups = new Map();
  for (const [path, item] of Object.entries(api.paths)) {
    for (const method of METHODS.filter((name) => item[name])) {
      const tag = item[method].tags?.[0] ?? "other";
      groups.set(tag, [...(groups.get(tag) ?? []), operation(api, method, path, item[method])]);
    }
  }
  $("operations").replaceChildren(...[...groups].flatMap(([tag, nodes]) => [make("h2", { textContent: tag }), ...nodes]));
  $("filter").addEventListener("input", () => {
    const wanted = $("filter").value.toLowerCase();
    for (const node of document.querySelectorAll("details")) {
      node.hidden = !node.querySelector("summary").textContent.toLowerCase().includes(wanted);
    }
  });
  if (location.hash) $(location.hash.slice(1))?.setAttribute("open", "");
}

try {
  const answer = await fetch("/api/openapi.json");
  if (!answer.ok) throw new Error(`the server answered ${answer.status}`);
  show(await answer.json());
} catch (error) {
  $("operations").textContent = `The API description could not be loaded: ${error.message}`;
}
