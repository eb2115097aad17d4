/**
 * Where clients send their requests: the only router, the nginx before several, or the only worker where there is no
 * router.
 */
export const PUBLIC_PORT = 8000;
