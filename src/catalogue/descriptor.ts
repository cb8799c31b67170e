// What is known about a metric family before anything is counted, and how its dimensions are called in OTLP.

export type FamilyType = "counter" | "gauge" | "updowncounter" | "histogram";

export interface Descriptor {
  /** The Prometheus name, whole, as it stands on /metrics. */
  readonly name: string;
  /** `translate(otel.name, otel.unit, type)` gives `name`. */
  readonly otel: { readonly name: string; readonly unit: string };
  readonly type: FamilyType;
  /** Dimensions in the order of display. An empty value means that the dimension is absent. */
  readonly labels: readonly string[];
  readonly help: string;
  /** Upper bounds without +Inf, ascending; histograms only. */
  readonly buckets?: readonly number[];
  /** "prom-client": collected by the library itself. "resource": made from the resource, on /metrics only. */
  readonly source?: "prom-client" | "resource";
  /** Most series of this family where it needs more than the common cap. */
  readonly seriesMax?: number;
}

/** The value that stands for all values beyond a dimension's cap. */
export const OVERFLOW_VALUE = "_OTHER";
/** The only dimension of the series that takes what is beyond a family's cap of series. */
export const OVERFLOW_LABEL = "otel_metric_overflow";

export type AttributeType = "string" | "int" | "boolean";
export interface Attribute {
  readonly key: string;
  readonly type: AttributeType;
}

/** Dimensions that semantic conventions name with dots, or type other than as text. All others are the same on both sides. */
const SEMANTIC: ReadonlyMap<string, Attribute> = new Map<string, Attribute>([
  ["http_request_method", { key: "http.request.method", type: "string" }],
  ["http_response_status_code", { key: "http.response.status_code", type: "int" }],
  ["http_route", { key: "http.route", type: "string" }],
  ["url_scheme", { key: "url.scheme", type: "string" }],
  ["error_type", { key: "error.type", type: "string" }],
  ["server_address", { key: "server.address", type: "string" }],
  ["server_port", { key: "server.port", type: "int" }],
  ["network_protocol_version", { key: "network.protocol.version", type: "string" }],
  ["rpc_grpc_status_code", { key: "rpc.grpc.status_code", type: "int" }],
  ["gen_ai_operation_name", { key: "gen_ai.operation.name", type: "string" }],
  ["gen_ai_provider_name", { key: "gen_ai.provider.name", type: "string" }],
  ["gen_ai_request_model", { key: "gen_ai.request.model", type: "string" }],
  ["gen_ai_response_model", { key: "gen_ai.response.model", type: "string" }],
  [OVERFLOW_LABEL, { key: "otel.metric.overflow", type: "boolean" }],
]);

/** The OTLP attribute of a dimension. */
export function attributeOf(label: string): Attribute {
  return SEMANTIC.get(label) ?? { key: label, type: "string" };
}
