/** What a browser shows in its tab: a gate. */
export const ICON = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32"><rect width="32" height="32" rx="7" fill="#0757b8"/><path d="M6 26V11m20 15V11M6 14h20M6 20h20M12 8v18m8-18v18" stroke="#fff" stroke-width="2.6" stroke-linecap="round" fill="none"/></svg>\n`;
