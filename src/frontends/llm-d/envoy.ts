import { stringify } from 'yaml';

const TYPES = 'type.googleapis.com/envoy';
const HTTP = `${TYPES}.extensions.upstreams.http.v3.HttpProtocolOptions`;

/** How the picker names its choice, and how it names the prefill worker to a decode worker's sidecar. */
const DESTINATION = 'x-gateway-destination-endpoint';
const PREFILLER = 'x-prefiller-host-port';

const at = (address: string, port: number) => ({ socket_address: { address, port_value: port } });

export interface EnvoyPlaces {
  readonly listen: string;
  readonly port: number;
  readonly admin: number;
  readonly picker: { readonly address: string; readonly port: number };
  readonly accessLog: string;
}

/**
 * Envoy asks the picker about each request over ext_proc, and sends it where the picker says (llm-d's guide for machines
 * without Kubernetes, and deploy/environments/dev/e2e-infra/envoy.yaml of llm-d-router at ebab687). A request has no
 * time limit. /metrics would be that of any worker, so it is refused.
 */
export function envoyFile({ listen, port, admin, picker, accessLog }: EnvoyPlaces): string {
  const picks = {
    name: 'envoy.filters.http.ext_proc',
    typed_config: {
      '@type': `${TYPES}.extensions.filters.http.ext_proc.v3.ExternalProcessor`,
      grpc_service: { envoy_grpc: { cluster_name: 'picker' }, timeout: '10s' },
      processing_mode: {
        ...{ request_header_mode: 'SEND', response_header_mode: 'SEND' },
        ...{ request_body_mode: 'FULL_DUPLEX_STREAMED', response_body_mode: 'FULL_DUPLEX_STREAMED' },
        ...{ request_trailer_mode: 'SEND', response_trailer_mode: 'SEND' },
      },
      message_timeout: '1000s',
    },
  };
  const log = {
    name: 'envoy.access_loggers.file',
    typed_config: {
      '@type': `${TYPES}.extensions.access_loggers.file.v3.FileAccessLog`,
      path: accessLog,
      log_format: {
        text_format_source: {
          inline_string: `%START_TIME% %REQ(:METHOD)% %REQ(:PATH)% %RESPONSE_CODE% %DURATION%ms upstream=%REQ(${DESTINATION})% prefiller=%REQ(${PREFILLER})%\n`,
        },
      },
    },
  };
  const routes = [
    { match: { path: '/metrics' }, direct_response: { status: 404 } },
    { match: { prefix: '/' }, route: { cluster: 'chosen', timeout: '0s', idle_timeout: '0s' } },
  ];
  const manager = {
    '@type': `${TYPES}.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager`,
    stat_prefix: 'llm-d',
    route_config: { name: 'llm-d', virtual_hosts: [{ name: 'llm-d', domains: ['*'], routes }] },
    http_filters: [
      picks,
      {
        name: 'envoy.filters.http.router',
        typed_config: {
          '@type': `${TYPES}.extensions.filters.http.router.v3.Router`,
          suppress_envoy_headers: true,
        },
      },
    ],
    stream_idle_timeout: '0s',
    access_log: [log],
  };
  const thresholds = [
    { max_connections: 40_000, max_pending_requests: 40_000, max_requests: 40_000, max_retries: 1024 },
  ];
  return stringify({
    admin: { address: at(listen, admin) },
    static_resources: {
      listeners: [
        {
          name: 'llm-d',
          address: at(listen, port),
          filter_chains: [
            {
              filters: [{ name: 'envoy.filters.network.http_connection_manager', typed_config: manager }],
            },
          ],
        },
      ],
      clusters: [
        {
          ...{
            name: 'chosen',
            type: 'ORIGINAL_DST',
            connect_timeout: '1000s',
            lb_policy: 'CLUSTER_PROVIDED',
          },
          circuit_breakers: { thresholds },
          original_dst_lb_config: { use_http_header: true, http_header_name: DESTINATION },
        },
        {
          ...{ name: 'picker', type: 'STATIC', connect_timeout: '86400s', lb_policy: 'LEAST_REQUEST' },
          circuit_breakers: { thresholds },
          typed_extension_protocol_options: {
            'envoy.extensions.upstreams.http.v3.HttpProtocolOptions': {
              '@type': HTTP,
              explicit_http_config: { http2_protocol_options: { max_concurrent_streams: 100 } },
            },
          },
          load_assignment: {
            cluster_name: 'picker',
            endpoints: [{ lb_endpoints: [{ endpoint: { address: at(picker.address, picker.port) } }] }],
          },
        },
      ],
    },
  });
}
