/* applets/ipc-bench/svg.c: the plot. One row per mechanism, one panel per measure, one colour and shape per
 * size, logarithmic axes; so one look compares all. Plain SVG 1.1 with a style sheet that follows the
 * reader's light or dark theme; where style sheets know no themes it is the light one. */
#define _GNU_SOURCE
#include "bench.h"

#include "num.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define LEFT 186
#define PANEL 360
#define GAP 44
#define TOP 118
#define STEP 11 /* between sizes within a row */
#define PAD 7   /* above and below them */
#define COLOURS 6
#define ROOM 10 /* free pixels at both ends of an axis */

struct plot {
	const struct bench *b;
	struct out *out;
	enum pattern panels[NPATTERNS];
	unsigned npanels, row, height;
	unsigned order[MAX_MECHS], rows;
	int low[NPATTERNS], high[NPATTERNS]; /* powers of ten, by panel */
};

/* Text of the machine's and the user's, as XML. */
static void put_xml(struct out *out, const char *s)
{
	for (; *s != '\0'; s++) {
		if (*s == '<')
			out_str(out, "&lt;");
		else if (*s == '>')
			out_str(out, "&gt;");
		else if (*s == '&')
			out_str(out, "&amp;");
		else
			out_char(out, (unsigned char)*s < 0x20 ? '?' : *s);
	}
}

/* What is plotted: microseconds or messages a second; 0 when there is nothing. */
static double value(const struct result *r, enum pattern p)
{
	if (!r->done)
		return 0;
	return p == REQUEST ? (double)(r->p50 > 0 ? r->p50 : 1) / 1e3 : r->rate;
}

static int floor_of(double v)
{
	double l = stats_log10(v);
	int n = (int)l;
	return (double)n > l ? n - 1 : n;
}

static void find_range(struct plot *p, unsigned panel)
{
	const struct bench *b = p->b;
	enum pattern what = p->panels[panel];
	bool any = false;
	for (unsigned i = 0; i < b->nsizes * b->nmechs; i++) {
		const struct result *r = &b->results[i * NPATTERNS + what];
		double v = value(r, what);
		if (v <= 0)
			continue;
		double top = what == REQUEST && (double)r->p99 / 1e3 > v ? (double)r->p99 / 1e3 : v;
		int low = floor_of(v), high = floor_of(top) + 1;
		p->low[panel] = !any || low < p->low[panel] ? low : p->low[panel];
		p->high[panel] = !any || high > p->high[panel] ? high : p->high[panel];
		any = true;
	}
	if (!any)
		p->high[panel] = 1;
}

static double x_of(const struct plot *p, unsigned panel, double v)
{
	double part = (stats_log10(v) - p->low[panel]) / (p->high[panel] - p->low[panel]);
	part = part < 0 ? 0 : part > 1 ? 1 : part; /* noise may reach beyond the axis */
	return LEFT + panel * (PANEL + GAP) + ROOM + part * (PANEL - 2 * ROOM);
}

/* Those that have something to show, the quickest for the chief measure at the first size on top. */
static void find_order(struct plot *p)
{
	const struct bench *b = p->b;
	for (unsigned m = 0; m < b->nmechs; m++) {
		bool any = false;
		for (unsigned i = 0; i < b->nsizes * NPATTERNS; i++)
			any |= bench_result(b, i / NPATTERNS, m, i % NPATTERNS)->done;
		if (!any)
			continue;
		unsigned at = p->rows++;
		double s = result_score(bench_result(b, 0, m, b->chief), b->chief);
		for (; at > 0 &&
			s > result_score(bench_result(b, 0, p->order[at - 1], b->chief), b->chief);
			at--)
			p->order[at] = p->order[at - 1];
		p->order[at] = m;
	}
}

static const char style[] =
	"<style>\n"
	"text{font-family:system-ui,-apple-system,'Segoe UI',Roboto,'DejaVu Sans',sans-serif;font-size:12px;fill:#1f2328}\n"
	".h{font-size:18px;font-weight:600}.s{fill:#59636e}.g{fill:#ffffff}.e{text-anchor:end}.m{text-anchor:middle}\n"
	".b{fill:#f3f5f7}.l{stroke:#c8d0d9;stroke-width:1}.n{stroke:#e6eaee;stroke-width:1}.w{stroke-width:2;opacity:.55}\n"
	".c0{fill:#0969da;stroke:#0969da}.c1{fill:#bc4c00;stroke:#bc4c00}.c2{fill:#1a7f37;stroke:#1a7f37}\n"
	".c3{fill:#8250df;stroke:#8250df}.c4{fill:#bf3989;stroke:#bf3989}.c5{fill:#4d5561;stroke:#4d5561}\n"
	"@media(prefers-color-scheme:dark){text{fill:#e6edf3}.s{fill:#9198a1}.g{fill:#0d1117}\n"
	".b{fill:#161b22}.l{stroke:#3d444d}.n{stroke:#23292f}\n"
	".c0{fill:#58a6ff;stroke:#58a6ff}.c1{fill:#f0883e;stroke:#f0883e}.c2{fill:#3fb950;stroke:#3fb950}\n"
	".c3{fill:#bc8cff;stroke:#bc8cff}.c4{fill:#f778ba;stroke:#f778ba}.c5{fill:#9ea7b3;stroke:#9ea7b3}}\n"
	"</style>\n";

/* The mark of size number I at X, Y: not by colour alone. */
static void put_mark(struct out *out, unsigned i, double x, double y)
{
	unsigned c = i % COLOURS;
	switch (i % 4) {
	case 0:
		out_fmt(out, "<circle class=\"c%u\" cx=\"%.1f\" cy=\"%.1f\" r=\"4\">", c, x, y);
		return;
	case 1:
		out_fmt(out, "<path class=\"c%u\" d=\"M%.1f %.1fh7v7h-7z\">", c, x - 3.5, y - 3.5);
		return;
	case 2:
		out_fmt(out, "<path class=\"c%u\" d=\"M%.1f %.1fl5 8h-10z\">", c, x, y - 4.5);
		return;
	default: out_fmt(out, "<path class=\"c%u\" d=\"M%.1f %.1fl5 5l-5 5l-5 -5z\">", c, x, y - 5);
	}
}

static void end_mark(struct out *out, unsigned i)
{
	out_str(out, i % 4 == 0 ? "</circle>\n" : "</path>\n");
}

static void put_head(struct plot *p)
{
	const struct bench *b = p->b;
	struct out *out = p->out;
	unsigned width = LEFT + p->npanels * (PANEL + GAP);
	char date[32] = "";
	struct tm tm;
	time_t now = time(NULL);
	if (gmtime_r(&now, &tm) != NULL)
		strftime(date, sizeof date, "%Y-%m-%d", &tm);
	out_fmt(out,
		"<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %u %u\" width=\"%u\" "
		"height=\"%u\" role=\"img\" aria-labelledby=\"t d\">\n"
		"<title id=\"t\">Speed of IPC mechanisms</title>\n<desc id=\"d\">",
		width, p->height, width, p->height);
	out_str(out, "Round trips and rates of each mechanism by size of message, on ");
	put_xml(out, machine_text(b));
	out_fmt(out, "</desc>\n%s<rect class=\"g\" width=\"100%%\" height=\"100%%\"/>\n", style);
	out_str(out,
		"<text class=\"h\" x=\"20\" y=\"34\">Speed of IPC mechanisms</text>\n"
		"<text class=\"s\" x=\"20\" y=\"54\">");
	put_xml(out, machine_text(b));
	out_fmt(out, "; processes %s; %s</text>\n", pin_text(b), date);
	double x = 24;
	for (unsigned s = 0; s < b->nsizes; s++) {
		put_mark(out, s, x, 76);
		end_mark(out, s);
		char text[NUM_BUF];
		int n = snprintf(text, sizeof text, "%zu bytes", b->sizes[s]);
		out_fmt(out, "<text x=\"%.1f\" y=\"80\">%s</text>\n", x + 10, text);
		x += 34 + 7 * n;
	}
}

/* "0.1", "100", "10k" for the power of ten N. */
static void tick(int n, bool units, char buf[16])
{
	double v = 1;
	for (int i = 0; i < n; i++)
		v *= 10;
	for (int i = 0; i > n; i--)
		v /= 10;
	if (!units || n < 3)
		snprintf(buf, 16, "%.*f", n < 0 ? -n : 0, v);
	else
		show_number(v, true, buf);
	/* "1.00k" says no more than "1k" */
	char *dot = strchr(buf, '.');
	if (dot != NULL && n >= 0) {
		char *unit = dot + 1 + strspn(dot + 1, "0");
		memmove(dot, unit, strlen(unit) + 1);
	} else if (units && n >= 3 && dot == NULL) {
		return;
	}
}

static void put_axis(struct plot *p, unsigned panel)
{
	struct out *out = p->out;
	enum pattern what = p->panels[panel];
	unsigned x0 = LEFT + panel * (PANEL + GAP), bottom = TOP + p->rows * p->row;
	char text[16];
	for (int n = p->low[panel]; n <= p->high[panel]; n++) {
		double v = 1;
		for (int i = 0; i < n; i++)
			v *= 10;
		for (int i = 0; i > n; i--)
			v /= 10;
		double x = x_of(p, panel, v);
		for (unsigned k = 2; k < 6 && n < p->high[panel]; k += 3) {
			double minor = x_of(p, panel, v * k);
			out_fmt(out, "<path class=\"n\" d=\"M%.1f %uV%u\"/>\n", minor, TOP, bottom);
		}
		tick(n, what != REQUEST, text);
		out_fmt(out,
			"<path class=\"l\" d=\"M%.1f %uV%u\"/>"
			"<text class=\"s m\" x=\"%.1f\" y=\"%u\">%s</text>\n",
			x, TOP, bottom + 5, x, bottom + 19, text);
	}
	out_fmt(out, "<text x=\"%u\" y=\"%u\">", x0, TOP - 10);
	if (what == REQUEST)
		out_str(out, "Round trip: mark p50, line to p99 (left is better)");
	else
		out_fmt(out, "%s (right is better)",
			what == STREAM              ? "Stream to one receiver"
				: what == BROADCAST ? "A copy to each receiver"
						    : "Shared among receivers");
	out_fmt(out, "</text>\n<text class=\"s m\" x=\"%u\" y=\"%u\">%s</text>\n", x0 + PANEL / 2,
		bottom + 38,
		what == REQUEST ? "microseconds, log scale" : "messages a second, log scale");
}

static void put_point(struct plot *p, unsigned panel, unsigned size, unsigned mech, double y)
{
	const struct bench *b = p->b;
	struct out *out = p->out;
	enum pattern what = p->panels[panel];
	const struct result *r = bench_result(b, size, mech, what);
	double v = value(r, what);
	char text[16];
	if (v <= 0)
		return;
	double x = x_of(p, panel, v), noise = r->spread < 0.9 ? r->spread : 0.9, from = x, to;
	if (what == REQUEST) {
		to = x_of(p, panel, (double)(r->p99 > r->p50 ? r->p99 : r->p50) / 1e3);
	} else {
		from = x_of(p, panel, v * (1 - noise));
		to = x_of(p, panel, v * (1 + noise));
	}
	out_fmt(out, "<path class=\"w c%u\" d=\"M%.1f %.1fH%.1f\"/>", size % COLOURS, from, y, to);
	put_mark(out, size, x, y);
	show_number(v, what != REQUEST, text);
	out_fmt(out, "<title>%s, %zu bytes: %s %s, +- %.0f %%</title>", b->mechs[mech]->label,
		b->sizes[size], text, what == REQUEST ? "us" : "messages/s", r->spread * 100);
	end_mark(out, size);
}

static void put_rows(struct plot *p)
{
	const struct bench *b = p->b;
	struct out *out = p->out;
	for (unsigned i = 0; i < p->rows; i++) {
		double top = TOP + i * p->row;
		out_fmt(out, "<text class=\"e\" x=\"%u\" y=\"%.1f\">%s</text>\n", LEFT - 12,
			top + p->row / 2.0 + 4, b->mechs[p->order[i]]->label);
		for (unsigned k = 0; k < p->npanels; k++)
			for (unsigned s = 0; s < b->nsizes; s++)
				put_point(p, k, s, p->order[i], top + PAD + STEP / 2.0 + STEP * s);
	}
}

/* Every other row has a ground of its own, for the eye to follow. */
static void put_stripes(struct plot *p)
{
	for (unsigned i = 0; i < p->rows; i += 2)
		out_fmt(p->out,
			"<rect class=\"b\" x=\"12\" y=\"%u\" width=\"%u\" height=\"%u\"/>\n",
			TOP + i * p->row, LEFT + p->npanels * (PANEL + GAP) - 24, p->row);
}

int svg_write(const struct bench *b, int fd)
{
	struct plot *p = call_alloc(b->call, sizeof *p);
	struct out *out = call_alloc(b->call, sizeof *out);
	if (p == NULL || out == NULL) {
		errno = ENOMEM;
		return -1;
	}
	out->fd = fd;
	p->b = b;
	p->out = out;
	for (enum pattern what = 0; what < NPATTERNS; what++)
		if (b->wanted[what])
			p->panels[p->npanels++] = what;
	find_order(p);
	p->row = 2 * PAD + b->nsizes * STEP;
	p->height = TOP + p->rows * p->row + 54;
	for (unsigned k = 0; k < p->npanels; k++)
		find_range(p, k);
	put_head(p);
	put_stripes(p);
	for (unsigned k = 0; k < p->npanels; k++)
		put_axis(p, k);
	put_rows(p);
	out_str(out, "</svg>\n");
	if (out_flush(out) == 0)
		return 0;
	errno = out->err;
	return -1;
}
