import { testCrashes } from './crashes.ts';

testCrashes('wait');
