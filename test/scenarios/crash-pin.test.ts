import { testCrashes } from './crashes.ts';

testCrashes('pin');
