"""Sums told as little stories or with rarer words, for training alone: every word in many frames.

The held-out wordings of ask_math.py and ask_sums.py stay what is asked: a story that comes out as
one of these is drawn again (task_math.py).
"""
from grammar import filled

THING = ("[apples|coins|cards|screws|stones|pens|books|eggs|stamps|beads|nails|bulbs|rolls|cakes|"
         "tickets|nuts|cups|plates|balls|shells|buttons|candles|chairs|bricks|cables|seeds|plums|"
         "bottles|stickers|photos|keys|boxes|toys|pears|socks|leaves|flowers|sheets|tiles|bolts|"
         "cookies|sweets|marbles|pages|letters|points|steps|batteries|logs|fish|sheep|hens]")
WHO = "[I|We|You|They|Anna|Tom|My friend|My sister|The boy|Peter|Rosa|The team]"
HAS = ("[I have|We have|You have|They have|There are|I own|I've got|We've got|Anna has|Tom has|"
       "The shop has|My brother has|She has|He has|I count|I see|I keep|I got]")
HAD = ("[I had|We had|There were|Anna had|Tom had|The shop had|She had|He had|They had|You had|"
       "My mother had|I started with|It began with]")
LONG = ("[rope|board|pipe|wire|string|ribbon|rod|chain|hose|cable|plank|stick|pole|wall|fence|"
        "thread|beam|bar|belt|tape|branch|stem|shelf|strip]")
UNIT = "[cm|mm|m|km|meters|feet|inches|miles|steps|yards]"
MONEY = "[euros|dollars|cents|pounds|francs|coins]"
PRICED = ("[shirt|lamp|bag|hat|cup|pen|coat|jacket|book|ticket|game|chair|radio|clock|bike|toy|"
          "phone|knife|cake|meal|map]")
CROWD = ("[people|cars|birds|children|guests|dogs|cats|men|women|boys|girls|trains|sheep|ducks|"
         "players|pupils|bees|boats]")
PLACE = ("[bus|room|train|hall|garden|field|house|box|bag|class|boat|shop|park|basket|jar|drawer|"
         "tank|pile|barn|yard|queue]")
HOLDER = ("[box|bag|pack|jar|crate|tray|carton|basket|case|packet|tin|drawer|shelf|bucket|bunch|"
          "row|page|car|bus|table|team|room|tower|set]")
HOLDERS = ("[boxes|bags|packs|jars|crates|trays|cartons|baskets|cases|packets|tins|drawers|shelves|"
           "buckets|bunches|rows|pages|cars|buses|tables|teams|rooms|towers|sets]")
PEOPLE = "[children|friends|people|players|guests|teams|pupils|workers|neighbours|girls|boys|men]"
ALL = ("[How many are there in all?|How many is that?|How many are these together?|What is the "
       "total?|How many altogether?|What does it come to?|Total?|How many in total?|Give me the "
       "sum.|What do they make?|How many now?|Sum?|And now?|What is it now?|How much is it?|How "
       "many do we count?]")
LEFT = ("[How many are left?|What is left?|How many remain?|How many stay?|How much is left?|What "
        "remains?|How many are still there?|How many does that leave?|And what is left over?|How "
        "many now?|What is the rest?|How much remains?|And now?|What do we still have?|How many "
        "are there still?|How many are not gone?]")
EACH = ("[How many for each?|How many does each get?|What does each have?|How many each?|What is "
        "the share of one?|How many does one get?|How many go to each?|What is one share?|How many "
        "per head?|How much is it for one?|What does everybody get?]")
WORDS = {"THING": THING, "WHO": WHO, "HAS": HAS, "HAD": HAD, "LONG": LONG, "UNIT": UNIT,
         "MONEY": MONEY, "PRICED": PRICED, "CROWD": CROWD, "PLACE": PLACE, "HOLDERS": HOLDERS,
         "HOLDER": HOLDER, "PEOPLE": PEOPLE, "ALL": ALL, "LEFT": LEFT, "EACH": EACH}

ADD = filled((
    "HAS {a} THING and [get|buy|find|win|collect|receive|am given|pick up] {b} [more|others]. "
    "ALL", "HAD {a} THING. Then [came|I got|I bought|we found|I was given] {b} [more|others]. "
    "ALL", "{a} CROWD are in the PLACE, {b} [more|others] [come|come in|join|arrive|get in|walk "
    "in]. ALL", "HAD {a} CROWD in the PLACE, and {b} [more|others] [came|came "
    "in|joined|arrived|got in]. ALL", "[One|This|My|The first] PLACE [has|holds|contains] {a} "
    "THING, [another|the next|yours|the second] [has|holds|contains] {b}. ALL",
    "In [one|my|the left] PLACE are {a} THING, in [another|yours|the right one] {b}. ALL",
    "[Here|On the table|In my hand] [lie|are|stand] {a} THING and [there|on the floor|in my "
    "bag] {b}. ALL", "A PRICED [costs|is] {a} MONEY[| and], [a|the] PRICED {b}. [What do I "
    "pay?|What do both cost?|What is the total?|How much are both?|How much is that together?]",
    "WHO paid {a} MONEY for a PRICED and {b} for a PRICED. [How much was it?|How much in "
    "all?|What did both cost?]", "I [save|earn|make|put in|add] {a} MONEY and then {b}[| more]. "
    "[How much is that?|How much do I have?|What is the total?|What have I got now?]",
    "My [account|savings book|purse|wallet] has {a} MONEY and [I put in|I add|gets] {b}. [What "
    "is in it?|How much now?|What does it have now?]",
    "[I walked|We drove|She ran|He rode|I swam|We went] {a} UNIT and then [another|a further|] "
    "{b}[| more]. [How far was that?|How far is it in all?|What is the whole way?|How much is "
    "it?]", "A LONG of {a} UNIT and [one|a LONG] of {b}[| end to end| joined]. [How long are "
    "both?|How long are they together?|What is their length?|How long in all?]",
    "The LONG is {a} UNIT [long|high], it [grows|gets longer|becomes longer|is made longer] by "
    "{b}. [How long is it now?|What is it now?|How long is it then?]",
    "[If I|When you|Suppose I|Say we] [raise|increase|lift|extend|enlarge] {a} by {b}, [what is "
    "it?|what comes out?|what do I get?|where does that end?]",
    "{a}[| is] [raised|increased|lifted|enlarged|extended|made larger|made bigger] by {b}[|, "
    "what is it?|: how much?|?]", "[Let|Make] {a} [grow|rise|go up|climb] by {b}.",
    "{a} [rises|climbs|goes up|gains|grows] {b}[|, what now?|. What is it now?|. Where is it?]",
    "[Begin|I begin|Starting|I start|Beginning] [at|with|from] {a} and [go up|climb|count "
    "up|move up|rise|add] {b}. [Where am I?|What is it?|And now?|Where do I end?]",
    "[From|Beginning at|Counting from] {a}, {b} [further|up|upwards|more|higher] [is "
    "what?|comes to?|is where?|is which number?]", "[What|Which number] is {b} "
    "[above|over|higher than|greater than|larger than|past|beyond] {a}?",
    "[What|Which number] [comes|lies|stands] {b} [after|above|past|beyond|behind] {a}?",
    "The number [that is|which is|] {b} [above|greater than|larger than|higher than] {a}[|?|, "
    "please]", "{b} [above|over|past|beyond|higher than] {a}[|?| is?| is what?]",
    "[Lay|Pile|Heap|Pack|Set|Place] {b} [more |]on [top of |]{a}[. What is it?|: how much?|, "
    "what is that?]", "{b} [stacked|piled|laid|set|placed] on [top of |]{a} [is|makes|gives] "
    "what?", "[I stack|I pile|We stack|I lay] {b} THING on {a}[| others]. [How high is the "
    "pile?|ALL]", "[Join|Merge|Unite|Link|Mix|Tie] {a} and {b}[ into one|| together]. [How "
    "much?|What is it?|ALL]", "{a} [joined|merged|combined|together|along] with {b}[|, what is "
    "it?|: how much?| makes?]", "[Sum|Total|Grand total|Altogether|In all|Taken together][:| "
    "of] {a}[,| and] {b}[|?]", "[tot up|add up|total|sum up|reckon up|count up] {a} "
    "[and|with|plus] {b}[|, please| for me]", "{a} [as well as|and also|and besides|and on "
    "top|along with|not to forget] {b}, [how many is it?|in all?|what does it make?|what is the "
    "sum?]", "[The score|My score|It] is {a}, then {b} [points|] [more|come on top|are added]. "
    "[What is it now?|And now?|What is the score now?]",
    "{a} in the morning and {b} in the [evening|afternoon]. [How many on that day?|ALL]",
    "WHO [read|wrote|did|ate|sold|baked|planted] {a} [today|on Monday|first|at noon] and {b} "
    "[on Tuesday|later|tomorrow|after that|yesterday]. ALL",
    "[Yesterday|On Monday|Last week] it was {a}, [today|now|this week] {b} more. [How many is "
    "it now?|What is it today?|How much is it now?]", "It is {a} degrees and gets {b} "
    "[warmer|hotter]. [How warm is it?|What is it now?]",
    "[Both|The two] numbers are {a} and {b}. [Their sum?|What is the sum?|Add them.|Total?]",
    "{a}, {b}: [sum|add|total|plus|together][|?]", "[plus|sum|add|total|together|addition] {a} "
    "{b}", "{a} [add|added to|plus another|with an extra|and an extra|and a further] {b}[|?| "
    "is?]", "[We are|There are] {a} [boys|men|adults|red ones] and {b} "
    "[girls|women|children|blue ones]. [How many are we?|ALL]",
    "[Our|The] PLACE has {a} CROWD, the [one next door|other|next] [has |]{b}. [Both?|ALL]",
), **WORDS)
SUB = filled((
    "[A|The|My|This|Our] LONG [is|was|measures] {a} UNIT[| long| in length]. [I|We|Tom|Someone] "
    "[cut|saw|chop|break|take|snip|tear|trim|clip] off {b}[| UNIT| of it]. [How long is it "
    "now?|How long is the rest?|LEFT|What length is left?|How long is what stays?]",
    "[From|Off|Of] a LONG of {a} UNIT [I|we|he] [cut|saw|take|break|use|remove|need|sell] {b}[| "
    "off| away]. [How long is the rest?|How long is it then?|LEFT]",
    "[Take|Saw|Cut|Trim|Chop|Snip|Break] {b} UNIT [off|from|away from] a LONG of {a}. [How long "
    "is it now?|LEFT]", "[A|The] LONG of {a} UNIT is [made shorter|shortened|cut short|trimmed] "
    "by {b}. [How long is it?|How long is it now?|What is left?|LEFT]",
    "HAS {a} THING and [lose|sell|give away|eat|break|use|drop|throw away|hand out|send "
    "back|spend|lend|burn|return] {b}[| of them]. LEFT",
    "HAD {a} THING. {b} [of them |][broke|fell off|fell down|were eaten|were sold|are gone|got "
    "lost|were stolen|burnt|were used|are missing|were taken|ran away|flew away]. LEFT",
    "Of {a} THING, {b} are [broken|bad|red|sold|lost|old|wet|empty|done|missing|stolen]. [How "
    "many are not?|LEFT|How many are whole?|How many are good?]",
    "Out of {a} THING [I|we] [have used|have done|have read|ate|gave away|lost|sold] {b}. LEFT",
    "{a} CROWD are in the PLACE, {b} [leave|go|go away|walk out|get off|run off|fly off|go "
    "home|step out]. LEFT", "HAD {a} CROWD in the PLACE, {b} [left|went away|walked out|got "
    "off|flew away|went home]. LEFT", "The PLACE [has|had|holds] {a} CROWD[| in it], then {b} "
    "[get out|leave|go|are taken away|get off]. LEFT",
    "I have {a} MONEY and [spend|pay|lose|give|need|owe] {b}[| for a PRICED]. [What is "
    "left?|How much do I still have?|LEFT]", "A PRICED [was|cost] {a} MONEY and is {b} "
    "[cheaper|less|off] now. [What does it cost?|What is the price?|How much is it?|What do I "
    "pay?]", "I pay a PRICED of {b} with {a} MONEY. [What do I get back?|How much comes "
    "back?|What is the change?]", "[It|A PRICED] costs {a}, I have {b}. [How much do I "
    "lack?|How much is missing?|How much more do I need?|What do I still need?|How much am I "
    "short?]", "I [need|want|must have|should have|am to bring] {a} THING [but have|and have "
    "got|and have only|but own] {b}. [What is lacking?|How many are missing?|How many more must "
    "I get?|How many do I still need?|How many am I short?|What is missing?|What do I lack?]",
    "[How many|What] [lack|are lacking|is lacking|do I lack] [at|with|if I have] {b} [to "
    "reach|for|to get to] {a}?", "{b} [are there|are here|is there|we have], {a} [are needed|is "
    "needed|should be there|are wanted]. [How many are lacking?|How many are missing?|What is "
    "missing?|How many more?]", "[Lacking|Missing|Still needed] from {b} to {a}[|?]",
    "{b} of {a} are [done|there|full|ready|read]. [How many are not?|What is missing?|LEFT]",
    "[The|A|My] [book|film|list|way|trip] has {a} [pages|minutes|lines|UNIT], {b} are "
    "[done|read|over|behind me]. LEFT", "[What|Which number] is {b} [below|under|lower "
    "than|smaller than|less than|beneath] {a}?", "[What|Which number] [comes|lies|stands] {b} "
    "[before|below|under|ahead of] {a}?", "{b} [below|under|lower than|smaller than|short "
    "of|beneath] {a}[|?| is?| is what?| makes?]", "[I have|Tom has|Take|We want] {b} "
    "[fewer|less] than {a}[| THING]. [How many is that?|How many is it?|What is it?]",
    "[Anna|Tom|My sister] has {a} THING, I have {b} [fewer|less]. [How many have I got?|How "
    "many are mine?|How many do I own?]", "{a}, [only|just|but] {b} "
    "[fewer|less|lower|smaller][|: how many?|, what is it?]",
    "[If I|When you|Suppose I|Say we] [reduce|lower|decrease|shrink|diminish|shorten] {a} by "
    "{b}, [what is it?|what remains?|what do I get?|what is left?]",
    "{a}[| is] [reduced|lowered|decreased|diminished|shortened|made smaller|cut|brought down] "
    "by {b}[|, what is it?|: how much?|?]", "[Let|Make] {a} [shrink|fall|sink|go down|drop] by "
    "{b}.", "{a} [falls|drops|sinks|shrinks|goes down|loses] [by |]{b}[|, what now?|. What is "
    "it now?|. What remains?]", "[Begin|I begin|Starting|I start] [at|with|from] {a} and [go "
    "down|count down|move down|climb down|go back|count back] {b}. [Where am I?|What is it?|And "
    "now?|Where do I end?]", "[From|Beginning at|Counting from] {a}, {b} "
    "[back|down|downwards|less|lower|backwards] [is what?|comes to?|is where?|is which number?]",
    "[Strike|Erase|Clear|Drop|Leave out|Cross out|Wipe] {b} [from|of|out of] {a}. [What is "
    "left?|LEFT]", "{a} [except|but for|without|apart from|not counting|leaving out|lacking] "
    "{b}[|?|: how many?|, what remains?]", "{b} "
    "[gone|lost|deducted|removed|taken|dropped|missing] [from|of|out of] {a}[|?| leaves?| "
    "leaves how many?]", "[Gap|Distance|Difference|The step] [from {b} to {a}|between {a} and "
    "{b}|of {a} and {b}][|?]", "[How far|How many steps|How much] [apart are {a} and {b}|is {a} "
    "from {b}|lies between {b} and {a}|is it up from {b} to {a}]?",
    "[By how much|How much] is {a} [above|over|past|ahead of|greater than|in front of] {b}?",
    "I am {a} years old, [my brother|Tom|my dog] is {b}. [How much older am I?|How many years "
    "are between us?|What is the difference?]", "It is {a} degrees and gets {b} "
    "[colder|cooler]. [How warm is it?|What is it now?]",
    "[The score|My score|It] is {a}, then {b} [points|] [less|are taken away|are lost|go]. "
    "[What is it now?|And now?|What is the score now?]",
    "[minus|subtract|difference|less|deduct] {a} {b}",
    "{a}, {b}: [difference|minus|subtract][|?]", "[Withdraw|Deduct|Subtract|Remove] {b} [out "
    "of|of|from] [my|the|these] {a}[| MONEY]. LEFT", "[Tom|Anna|The other team] has {a} points, "
    "we have {b}. [How far ahead are they?|How many more have they got?|By how many do they "
    "lead?]",
), **WORDS)
MUL = filled((
    "[One|A|Each|Every] HOLDER [has|holds|contains|takes|comes with] {a} THING. [How many do "
    "{b} have?|How many are in {b}[| HOLDERS]?|And {b} HOLDERS?|How many in {b} such "
    "HOLDERS?|What do {b} of them hold?|What about {b}?|How many make {b}?]",
    "{b} HOLDERS [with|of|holding|each with] {a} THING[| each| in each]. ALL",
    "[There are|I have|We bought|I see|I got] {b} HOLDERS[,| and] [each|every one|one] "
    "[has|holds|of|with] {a} THING. ALL", "In [each|every] HOLDER are {a} THING[, and there are "
    "{b}|. There are {b}]. ALL", "[Each|Every one|Everybody] of {b} PEOPLE "
    "[has|gets|brings|eats|needs|takes] {a} THING. ALL",
    "{b} PEOPLE [bring|have|take|eat|get|need] {a} THING each. ALL",
    "[A|One|Each] PRICED [costs|is|sells for|goes for] {a}[| MONEY]. [What do {b} cost?|How "
    "much are {b}?|What do I pay for {b}?|And {b} of them?|Price of {b}?]",
    "{b} [shirts|lamps|bags|hats|cups|pens|books|tickets|cakes|chairs] at {a}[| MONEY] each[| "
    "cost how much?| are how much?|, what do I pay?]",
    "I [do|read|write|run|earn|save|eat|walk|sell|plant] {a} [a|per|each|every] "
    "[day|week|hour|month]. [How many in {b}?|How many in {b} of them?|And in {b}?|What is it "
    "after {b}?]", "[Every|Each] [day|week|hour|time] {a}, [{b} of them|{b} in a row|and that "
    "{b} times]. ALL", "A [wall|garden|table|room|floor|field|board] is {a} [UNIT "
    "|][wide|long|broad] and {b} [high|wide|deep]. [What is the area?|How big is it?|What is "
    "its area?|How many squares?]", "[Area|The area|Size] of {a} [by|x|times] {b}[|?]",
    "{a} columns and {b} [rows|lines], how many [fields|cells|squares] are it?",
    "[A|One] [dog|cow|table|horse|insect|spider|robot|bug] has {b} [legs|feet|arms]. How many "
    "[have {a}|on {a}|do {a} have]?", "[Take|Lay|Put|Count|Write|Use] {a} [{b} times|{b} times "
    "over|as often as {b} times]. ALL", "{a} [taken|counted|repeated|added up|laid] {b} "
    "times[|, what is it?|: how much?|?]", "{b} [lots|sets|groups|bundles|heaps|times the "
    "number] of {a}[|?| is?|: how many?| make what?]",
    "[mul|mult|multiply|product|times|multiplied|multiplication][:| of|] {a} [{b}|and {b}|, "
    "{b}|by {b}|with {b}]", "{a}, {b}: [product|times|multiply|multiplied][|?]",
    "[Multiply|Multiplying|If I multiply] {a} [by|with] {b}[| gives?| is what?|, what comes "
    "out?|: result?]", "The product [when|if] {a} is [taken times|multiplied by|multiplied "
    "with] {b}[|?]", "[Two factors|The factors|Both factors]: {a} and {b}. [Product?|What is "
    "the product?|Multiply them.]", "{a}[|,] [as a factor of|multiplied with|times over by] "
    "{b}[|?]", "[If I have|With|Given|Suppose] {b} HOLDERS of {a}[| THING], how many [are "
    "it|are these|is that|have I]?", "[I need|We want|They order] {a} THING for [each|every "
    "one] of {b} PEOPLE. [How many do I need?|How many must I buy?|ALL]",
    "A [lap|trip|step|jump|round] is {a} UNIT. [How far are {b}?|How far is it after {b}?|And "
    "{b}?|What do {b} make?]", "[Make|Do|Work out|Calculate] {a} {b}[-fold| times| times over].",
    "[What|How much] [makes|gives|is] {a} [{b} times|by {b}|times {b}]?",
    "{a} [on each|on every|in each|in every|per] HOLDER, {b} HOLDERS. ALL",
    "{a} [minutes|hours|UNIT] [a|per] [lap|round|day|trip], {b} [of them|laps|times]. [How many "
    "in all?|ALL]",
), **WORDS)
DIV = filled((
    "{a} THING [for|to|among|between] {b} PEOPLE. EACH",
    "{b} PEOPLE [share|split|divide|get|want] {a} THING. EACH",
    "[We are|They are|There are] {b}[| PEOPLE] [and have|with|and share|and get] {a} THING. EACH",
    "[Share|Split|Divide|Deal|Hand out|Distribute|Give] {a} THING [fairly |evenly |equally "
    "|][among|between|to|with|for] {b} PEOPLE.", "[If|When] {b} PEOPLE [share|split|divide] {a} "
    "THING[| fairly| evenly], [what does each get?|how many has each?|how many for each?]",
    "[Share|Split|Divide|Distribute|Part|Break up] {a} [between|over|fairly by|among all] "
    "{b}[|?|, what is it?|: how much each?]", "{a} "
    "[shared|split|divided|dealt|parted|distributed|cut|broken] [among|between|over|into|in] "
    "{b} [people|parts|pieces|heaps|teams|shares|ways][|?|: how much?| gives?]",
    "{b} [cost|costs|come to|are sold for] {a}[| MONEY] [in all|altogether|together]. [What is "
    "the price of one?|How much is one?|One costs what?|What does a single one cost?]",
    "[For|I pay for|We paid for] {b} THING [I pay|it is|we paid|] {a} MONEY. [What is one?|How "
    "much is one?|What does one cost?|What is the price of each?]",
    "{b} THING cost {a} MONEY. [How much is a single one?|What is the price of one?|How much "
    "does each cost?|And one?]", "[Price|Cost] of one if {b} [cost|are|make] {a}[|?]",
    "[Put|Pack|Sort|Fill|Lay|Group] {a} THING in HOLDERS of {b}. How many [HOLDERS|are full|do "
    "I get|do I need|is that]?", "A HOLDER [holds|takes|has room for|fits] {b}[| THING]. How "
    "many HOLDERS [for {a}|do I need for {a}|do {a} fill|will {a} fill]?",
    "{a} THING, {b} [in a|in each|to a|per] HOLDER. How many [HOLDERS|are full|HOLDERS is that]?",
    "How [often|many times] [does {b} go into|is {b} in|does {b} fit in|fits {b} in|can I take "
    "{b} out of|goes {b} into] {a}?", "{b} [goes into|fits in|is in|into|goes in] {a} [how "
    "often?|how many times?|?]", "How many [groups|teams|rows|heaps|sets|bundles|lots] of {b} "
    "[make|are|give|do I get from|come out of] {a}?", "[Cut|Saw|Break|Chop|Split|Tear|Divide] a "
    "LONG of {a} UNIT [into|in] {b} [equal parts|pieces|parts|bits]. [How long is each?|How "
    "long is one?|What is the length of one?]", "A LONG [is|measures] {a} UNIT. How many "
    "[pieces|parts|bits|lengths] of {b} [can I cut|is that|does it give|are in it]?",
    "{a} UNIT [in|into] {b} [equal |][parts|pieces|bits]: how long is [each|one]?",
    "{a} [pages|UNIT|jobs|hours|tasks] in {b} [days|weeks|steps|hours]. [How many a day?|How "
    "many per day?|How much each?]", "[I need|We have|I want to do|He made] {a} in {b} "
    "[days|hours|weeks]. [How many a day?|How many each?|How many in one?|What is that for one?]",
    "One of {b} equal [parts|shares] of {a}[|?]", "[div|divide|quotient|over|divided|"
    "division][:| of|] {a} [{b}|and {b}|, {b}|by {b}]", "{a}, {b}: [quotient|divide|divided][|?]",
    "{a} [over|div|:|÷|divided through] {b}[|?| =| is?]",
    "[What|How much] is {a} [over|:|÷|divided through|parted by|shared between] {b}?",
    "[Calculate|Compute|Solve|Do|Work out] {a} [:|÷|over] {b}[|.]", "{a} [÷|:] {b}[ =|=| = ?|?|]",
    "[The quotient|Quotient|Result] of {a} [divided by|over|:|by] {b}[|?]",
    "[Share|Split|Divide|Part] it[| evenly]: {a} THING, {b} PEOPLE.",
    "[Dividing|If I divide|When I divide|I divide] {a} by {b}[| gives?|, what comes out?|: "
    "result?|, what is the remainder too?]", "{a} THING [shared|dealt out|handed out|given "
    "out|split] [fairly|evenly|equally] to {b} PEOPLE. EACH",
    "[Make|Form|Build] {b} [equal |][teams|groups|heaps|rows|parts] [of|from|out of] {a}[| "
    "PEOPLE| THING]. [How many in each?|How large is one?|How many has one?]",
    "How many {b}s [fit into|are there in|can be taken out of|come out of] {a}?",
), **WORDS)
MORE = (
    "compare[|:] {a} [and|with|to|against|or] {b}", "[Compare|Rank|Order|Judge] these: {a}[,| "
    "and] {b}", "[compare|bigger|larger|greater|max|higher|more][:|] {a} [{b}|, {b}|or {b}|vs "
    "{b}]", "{a} [versus|against|or|vs.] {b}[: bigger?|, which is bigger?|: which is more?|, "
    "larger?|: the max?]", "[Pick|Choose|Name|Take|Find|Keep] the "
    "[greater|larger|bigger|higher|top] [one |number |]of {a} [and|or] {b}.",
    "[Is it|Which is it] {a} or {b} that is [more|larger|bigger|greater|higher]?",
    "[I have|Tom has|One has] {a} and [you have|Anna has|the other has] {b}. [Which is "
    "more?|Which number is greater?|Which is the larger one?|Which of them is bigger?]",
    "[Maximum|The maximum|The greatest|The highest|The biggest|Top] of {a}[,| and] {b}[|?]",
    "[Between|Of|From] {a} and {b}, [which is ahead?|which wins?|which one is greater?|which is "
    "the bigger?|the larger one is?]", "[Sort|Put|Line up] {a} and {b}: [which is last?|which "
    "is the larger?|which is bigger?]", "Does {a} [exceed|top|beat] {b}, or [the other "
    "way|not]? Which is larger?",
)
LESS = (
    "[smaller|less|min|lower|minimum|least|fewer][:|] {a} [{b}|, {b}|or {b}|vs {b}]",
    "{a} [versus|against|or|vs.] {b}[: smaller?|, which is smaller?|: which is less?|, the "
    "lower?|: the min?]", "[Pick|Choose|Name|Take|Find|Keep] the [smaller|lower|lesser|littler] "
    "[one |number |]of {a} [and|or] {b}.", "[Is it|Which is it] {a} or {b} that is "
    "[less|smaller|lower]?", "[I have|Tom has|One has] {a} and [you have|Anna has|the other "
    "has] {b}. [Which is less?|Which number is smaller?|Which is the lower one?|Which of them "
    "is smaller?|Which is fewer?]", "[Minimum|The minimum|The smallest|The lowest|The least] of "
    "{a}[,| and] {b}[|?]", "[Between|Of|From] {a} and {b}, [which is behind?|which one is "
    "smaller?|which is the lesser?|the smaller one is?]",
    "[Sort|Put|Line up] {a} and {b}: [which is first?|which is the smaller?|which is lower?]",
    "[One shop asks|It is] {a}, [another|elsewhere] {b}. [Which is cheaper?|Where is it "
    "cheaper?|Which price is lower?|Which is less?]",
)
STORIES = {"+": ADD, "-": SUB, "*": MUL, "/": DIV, "more": MORE, "less": LESS}
