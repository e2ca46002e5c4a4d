// Shows openapi.json: operations by tag, then schemas. Builds the page from text nodes only.
const METHODS = ["get", "post", "put", "patch", "delete"];

function element(name, attributes, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children.filter((child) => child !== null && child !== ""));
  return made;
}

function typeName(schema) {
  if (!schema) return "";
  if (schema.$ref) return schema.$ref.split("/").pop();
  const choices = schema.anyOf ?? schema.oneOf;
  if (choices) return choices.map(typeName).join(" | ");
  if (schema.enum) return schema.enum.map((word) => JSON.stringify(word)).join(" | ");
  if (schema.const !== undefined) return JSON.stringify(schema.const);
  if (schema.type === "array") return `${typeName(schema.items)}[]`;
  return schema.format ? `${schema.type} (${schema.format})` : (schema.type ?? "any");
}

function typeNode(schema) {
  const name = typeName(schema);
  const target = schema?.$ref ?? schema?.items?.$ref;
  const code = element("code", {}, name);
  return target ? element("a", { href: `#schema-${target.split("/").pop()}` }, code) : code;
}

function table(rows) {
  if (rows.length === 0) return "";
  return element("table", {}, ...rows.map((cells) => element("tr", {}, ...cells.map((cell) => element("td", {}, cell)))));
}

function operationNode(path, method, operation) {
  const body = operation.requestBody?.content?.["application/json"]?.schema;
  const parameters = (operation.parameters ?? []).map((parameter) => [
    element("code", {}, parameter.name),
    typeNode(parameter.schema),
    `${parameter.in}${parameter.required ? ", required" : ""} ${parameter.description ?? ""}`,
  ]);
  const answers = Object.entries(operation.responses).map(([status, answer]) => [
    status,
    typeNode(Object.values(answer.content ?? {})[0]?.schema),
    answer.description ?? "",
  ]);
  return element(
    "details",
    { id: operation.operationId },
    element("summary", {}, element("span", { class: "method" }, method), element("code", {}, path), ` ${operation.summary ?? ""}`),
    element("p", {}, operation.description ?? ""),
    table(parameters),
    body ? element("p", {}, "Body: ", typeNode(body)) : "",
    table(answers),
  );
}

function schemaNode(name, schema) {
  const rows = Object.entries(schema.properties ?? {}).map(([field, type]) => [
    element("code", {}, field),
    typeNode(type),
    type.description ?? "",
  ]);
  return element(
    "details",
    { id: `schema-${name}` },
    element("summary", {}, element("code", {}, name)),
    element("p", {}, schema.description ?? ""),
    rows.length ? table(rows) : typeNode(schema),
  );
}

function render(api) {
  const groups = new Map();
  for (const [path, operations] of Object.entries(api.paths)) {
    for (const method of METHODS.filter((name) => operations[name])) {
      const tag = operations[method].tags?.[0] ?? "other";
      groups.set(tag, [...(groups.get(tag) ?? []), operationNode(path, method, operations[method])]);
    }
  }
  const page = document.getElementById("page");
  page.replaceChildren(
    element("h1", {}, `${api.info.title} ${api.info.version}`),
    ...api.info.description.split("\n\n").map((text) => element("p", { class: "note" }, text)),
    element("p", {}, element("a", { href: "openapi.json" }, "openapi.json")),
    ...[...groups].flatMap(([tag, nodes]) => [element("h2", {}, tag), ...nodes]),
    element("h2", {}, "schemas"),
    ...Object.entries(api.components.schemas).map(([name, schema]) => schemaNode(name, schema)),
  );
}

fetch("openapi.json")
  .then((answer) => (answer.ok ? answer.json() : Promise.reject(new Error(`the server answered ${answer.status}`))))
  .then(render)
  .catch((error) => {
    document.getElementById("page").textContent = `The OpenAPI document could not be loaded: ${error.message}`;
  });
