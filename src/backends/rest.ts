/** What the status server of a Dynamo worker says of requests that run. */
export const DYNAMO_GAUGES = ['dynamo_component_inflight_requests'] as const;
