/**
 * The port for clients' requests: that of the only router, of nginx in front of several, or of the only
 * worker without a router.
 */
export const PUBLIC_PORT = 8000;
