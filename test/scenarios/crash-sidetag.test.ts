import { testCrashes } from './crashes.ts';

testCrashes('sidetag');
