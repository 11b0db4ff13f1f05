// The page that shows the API: Swagger UI, which is taught to ask for keys and to sign with them.

import { sign } from "./signature.js";

const SCHEME = "sdk-hmac-sha256";
const FIELDS = { access_key: "Access key", secret_key: "Secret key", project_id: "Project id" };

// What "Authorize" shows for the scheme `signature`.
const SignatureForm = ({ React, React: { createElement: h } }) =>
  function Form({ name, schema, authorized, onChange }) {
    const [keys, setKeys] = React.useState({});
    const [problem, setProblem] = React.useState("");
    const known = authorized?.getIn([name, "value"])?.toJS();
    const take = (changed) => {
      const value = { ...keys, ...changed };
      setKeys(value);
      onChange({ name, schema, value });
    };
    const load = async (event) => {
      try {
        const file = JSON.parse(await event.target.files[0].text());
        take(Object.fromEntries(Object.keys(FIELDS).map((field) => [field, file[field] ?? ""])));
        setProblem("");
      } catch {
        setProblem("This is no credentials.json.");
      }
    };
    const input = (field) =>
      h("input", {
        id: `signature-${field}`,
        type: field === "secret_key" ? "password" : "text",
        autoComplete: "off",
        value: keys[field] ?? "",
        onChange: (event) => take({ [field]: event.target.value.trim() }),
      });
    const row = ([field, label]) =>
      h("div", { key: field }, h("label", { htmlFor: `signature-${field}` }, label), input(field));
    return h(
      "div",
      null,
      h("h4", null, h("code", null, name), "  (SDK-HMAC-SHA256)"),
      h("p", null, schema.get("description")),
      known
        ? h("h6", null, `Authorized: ${known.access_key}`)
        : h(
            "div",
            null,
            h("label", { htmlFor: "signature-file" }, "credentials.json, which fills in the rest"),
            h("input", { id: "signature-file", type: "file", accept: ".json", onChange: load }),
            problem && h("p", { role: "alert" }, problem),
            Object.entries(FIELDS).map(row),
          ),
    );
  };

// The project of the keys becomes what each path proposes.
function proposeProject(system, project) {
  const document = system.specSelectors.specJson().toJS();
  for (const item of Object.values(document.paths))
    for (const operation of Object.values(item))
      for (const parameter of operation.parameters ?? [])
        if (parameter.name === "project_id" && parameter.in === "path") parameter.schema.default = project;
  system.specActions.updateJsonSpec(document);
}

const signing = () => ({
  wrapComponents: {
    HttpAuth: (Original, system) => {
      const Form = SignatureForm(system);
      return (properties) =>
        system.React.createElement(properties.schema.get("scheme") === SCHEME ? Form : Original, properties);
    },
  },
  statePlugins: {
    auth: {
      wrapActions: {
        authorize: (original, system) => (given) => {
          const done = original(given);
          const project = given.signature?.value?.project_id;
          if (project) proposeProject(system, project);
          return done;
        },
      },
    },
  },
});

async function signIfAuthorized(request) {
  if (request.loadSpec) return request;
  const keys = ui.getSystem().authSelectors.authorized()?.getIn(["signature", "value"])?.toJS();
  if (keys) {
    const url = new URL(request.url, location).href;
    Object.assign(request.headers, await sign(request.method ?? "GET", url, request.body ?? "", keys));
  }
  return request;
}

const ui = SwaggerUIBundle({
  url: "/schema/openapi.json",
  dom_id: "#page",
  deepLinking: true,
  docExpansion: "list",
  defaultModelsExpandDepth: 0,
  filter: true,
  validatorUrl: null,
  plugins: [signing],
  requestInterceptor: signIfAuthorized,
});
