export { shellQuote } from '../quote.ts';
