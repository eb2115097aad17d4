export { shellQuote } from '../../os/quote.ts';
