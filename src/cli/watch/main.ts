export { watchJobs } from './app.ts';
