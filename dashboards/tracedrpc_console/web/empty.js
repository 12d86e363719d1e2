/** What a view says when it has nothing to show: what happened, and what to do next. */

import { copyButton } from "./copy.js";
import { h } from "./dom.js";

const ENDPOINT = "http://127.0.0.1:4318";
const EXAMPLE = `# pip install tracedrpc; any OTLP exporter of any language works too
import tracedrpc as messaging
import tracedrpc_otel

# exports to ${ENDPOINT}, or where OTEL_EXPORTER_OTLP_ENDPOINT says
tracedrpc_otel.configure(service_name="api")
transport = messaging.get_rpc_transport(None, "rabbit://guest:guest@127.0.0.1:5672/")
client = messaging.get_rpc_client(transport, messaging.Target(topic="compute"), timeout=5)
print(client.call({}, "reboot_instance", name="vm-1"))
transport.cleanup()`;

/** Nothing was ever received. */
export function nothingYet() {
  return h("section.empty", { role: "status" },
    h("h2", "Nothing has arrived yet"),
    h("p", "Point an exporter at ", h("code", ENDPOINT), " (OTLP over HTTP) or ", h("code", "127.0.0.1:4317"),
      " (gRPC). This page shows what comes as soon as it is here."),
    h("div.example", copyButton(EXAMPLE, "Copy the example"), h("pre", h("code", EXAMPLE))),
    h("p.dim", "No application at hand? ", h("code", "tracedrpc demo"), " runs a few services and sends their telemetry here."));
}

/** There is something, but not this. `ways` are links or buttons that widen the question. */
export function nothingFound(what, ...ways) {
  return h("section.empty", { role: "status" }, h("h2", what), ways.length > 0 && h("p.ways", ways));
}

/** A request failed. */
export function failure(error, again) {
  return h("section.empty.failed", { role: "alert" },
    h("h2", title(error)),
    h("p", error.message),
    h("p.ways", h("button", { type: "button", onclick: again }, "Try again")));
}

function title(error) {
  if (error.status === 401) return "This page has no key";
  if (error.status === 404) return "Not stored here";
  return error.status === 0 ? "No answer" : "That did not work";
}
