-- Words and sentences, Korean and English. Particles are part of the Korean words.

CREATE FUNCTION gen.family_name(h bigint) RETURNS text IMMUTABLE LANGUAGE sql AS $$ SELECT gen.pick(ARRAY[
    '김', '이', '박', '최', '정', '강', '조', '윤', '장', '임', '한', '오', '서', '신', '권', '황',
    '안', '송', '류', '홍', '전', '고', '문', '양', '손', '배', '백', '허', '남궁', '황보'], h) $$;
CREATE FUNCTION gen.given_name(h bigint) RETURNS text IMMUTABLE LANGUAGE sql AS $$ SELECT gen.pick(ARRAY[
    '민준', '서연', '도윤', '서윤', '예준', '지우', '시우', '하윤', '주원', '하은', '지호', '민서',
    '준서', '수아', '현우', '지아', '유진', '채원', '건우', '다은', '우진', '예린', '선우', '소율',
    '가람', '나래', '보라', '슬기', '아름', '한결', '태양', '은별'], h) $$;
-- The same names in Latin letters, in the same order.
CREATE FUNCTION gen.given_name_latin(h bigint) RETURNS text IMMUTABLE LANGUAGE sql AS $$ SELECT gen.pick(ARRAY[
    'minjun', 'seoyeon', 'doyun', 'seoyun', 'yejun', 'jiwoo', 'siwoo', 'hayun', 'juwon', 'haeun', 'jiho',
    'minseo', 'junseo', 'sua', 'hyunwoo', 'jia', 'yujin', 'chaewon', 'gunwoo', 'daeun', 'woojin', 'yerin',
    'sunwoo', 'soyul', 'garam', 'narae', 'bora', 'seulgi', 'areum', 'hangyeol', 'taeyang', 'eunbyeol'], h) $$;
CREATE FUNCTION gen.english_first(h bigint) RETURNS text IMMUTABLE LANGUAGE sql AS $$ SELECT gen.pick(ARRAY[
    'Grace', 'Alan', 'Margaret', 'Edsger', 'Barbara', 'Dennis', 'Frances', 'Donald', 'Radia', 'Ken',
    'Hedy', 'Linus', 'Karen', 'Brian', 'Zoë', 'José', 'Anaïs', 'Søren', 'Siobhán', 'Łukasz'], h) $$;
CREATE FUNCTION gen.english_last(h bigint) RETURNS text IMMUTABLE LANGUAGE sql AS $$ SELECT gen.pick(ARRAY[
    'Hopper', 'Turing', 'Hamilton', 'Keller', 'Liskov', 'Ritchie', 'Allen', 'Knuth', 'Perlman', 'O''Brien',
    'Lamarr', 'Nguyen', 'García', 'Müller', 'Kowalski', 'D''Angelo', 'Smith-Jones', 'Tanaka'], h) $$;
-- The same names without accents, in the same order.
CREATE FUNCTION gen.english_first_plain(h bigint) RETURNS text IMMUTABLE LANGUAGE sql AS $$ SELECT gen.pick(ARRAY[
    'grace', 'alan', 'margaret', 'edsger', 'barbara', 'dennis', 'frances', 'donald', 'radia', 'ken',
    'hedy', 'linus', 'karen', 'brian', 'zoe', 'jose', 'anais', 'soren', 'siobhan', 'lukasz'], h) $$;
CREATE FUNCTION gen.mail_domain(h bigint) RETURNS text IMMUTABLE LANGUAGE sql AS $$ SELECT gen.pick(ARRAY[
    'example.com', 'example.com', 'example.com', 'example.org', 'example.net', 'mail.example.kr',
    'studio.example.kr'], h) $$;

CREATE FUNCTION gen.city(h bigint) RETURNS text IMMUTABLE LANGUAGE sql AS $$ SELECT gen.pick(ARRAY[
    '서울특별시', '서울특별시', '서울특별시', '부산광역시', '대구광역시', '인천광역시', '광주광역시',
    '대전광역시', '울산광역시', '세종특별자치시', '경기도 성남시', '경기도 수원시', '강원특별자치도 춘천시',
    '제주특별자치도 제주시', '전주시', '청주시'], h) $$;
CREATE FUNCTION gen.street(h bigint) RETURNS text IMMUTABLE LANGUAGE sql AS $$ SELECT gen.pick(ARRAY[
    '세종대로', '강남대로', '테헤란로', '해운대로', '올림픽로', '중앙로', '한밭대로', '동성로', '판교역로',
    '나루터길', '연남로', '성수이로', '을지로', '문화로', '예술길', '봉은사로'], h) $$;

CREATE FUNCTION gen.korean_title(h bigint) RETURNS text IMMUTABLE LANGUAGE sql AS $$ SELECT
    gen.pick(ARRAY['작은', '푸른', '조용한', '다시 만난', '한밤의', '여름날의', '느린', '우리 동네', '마지막',
        '처음 그린', '열린', '움직이는', '반짝이는', '오래된', '새로운', '비 오는 날의'], h) || ' ' ||
    gen.pick(ARRAY['골목', '바다', '도서관', '극장', '편지', '정원', '나루터', '지도', '목소리', '작업실',
        '기차역', '시장', '그림책', '옥상', '우주', '노래', '달력', '사진관', '부엌', '강변'], h >> 9) || ' ' ||
    gen.pick(ARRAY['프로젝트', '전시', '아카이브', '공모전', '워크숍', '기록', '다큐멘터리', '시즌 2', '영상',
        '앱 개발', '잡지', '공연'], h >> 18) $$;
CREATE FUNCTION gen.english_title(h bigint) RETURNS text IMMUTABLE LANGUAGE sql AS $$ SELECT
    gen.pick(ARRAY['Quiet', 'Open', 'Midnight', 'Paper', 'Electric', 'Slow', 'Hidden', 'Second', 'Borrowed',
        'Living', 'Northern', 'Patient', 'Restless', 'Unfinished'], h) || ' ' ||
    gen.pick(ARRAY['Harbour', 'Garden', 'Archive', 'Ferry', 'Notebook', 'Orchestra', 'Kitchen', 'Signal', 'Atlas',
        'Workshop', 'Lantern', 'River', 'Theatre', 'Window', 'Machine', 'Letter'], h >> 9) || ' ' ||
    gen.pick(ARRAY['Project', 'Exhibition', 'Sessions', 'Festival', 'Prototype', 'Documentary', 'Zine', 'App',
        'Residency', 'Lab'], h >> 18) $$;
CREATE FUNCTION gen.title(h bigint) RETURNS text IMMUTABLE LANGUAGE sql AS $$ SELECT
    CASE WHEN (h >> 40) % 5 < 3 THEN gen.korean_title(h) ELSE gen.english_title(h) END $$;

CREATE FUNCTION gen.korean_sentence(h bigint) RETURNS text IMMUTABLE LANGUAGE sql AS $$ SELECT
    gen.pick(ARRAY['지난주 회의에서', '팀원들과 함께', '생각보다 빨리', '관객의 반응을 보고', '오늘 아침에',
        '여러 번 고친 끝에', '마감을 앞두고', '처음 계획과 달리', '현장에서', '디자인을 바꾸면서',
        '예산을 다시 확인하고', '멘토의 조언대로', '두 번째 시도에서', '자료를 찾다가', '솔직히 말해서',
        '사용자 인터뷰를 마치고'], h) || ' ' ||
    gen.pick(ARRAY['표지 그림을', '첫 장면을', '배경 음악을', '전시 동선을', '색상 견본을', '초안을', '일정표를',
        '홍보 문구를', '녹음 파일을', '번역문을', '무대 조명을', '인쇄 시안을', '참고 자료를', '결제 화면을',
        '발표 자료를', '촬영 장소를', '자막을', '로고를', '대본의 결말을', '후원 목록을'], h >> 9) || ' ' ||
    gen.pick(ARRAY['다시 정리했습니다.', '모두 바꾸기로 했습니다.', '내일까지 올리겠습니다.', '확인해 주세요!',
        '한 번 더 검토하면 좋겠어요.', '드디어 끝냈습니다 😊', '조금 줄였습니다.', '공유 폴더에 넣었습니다.',
        '그대로 두는 편이 낫겠습니다.', '누가 맡을지 정해야 합니다.', '비교해 보았습니다.', '승인받았습니다.',
        '처음부터 만들고 있습니다.', '보류합니다.', '왜 지웠나요?', '저장했습니다.'], h >> 18) $$;
CREATE FUNCTION gen.english_sentence(h bigint) RETURNS text IMMUTABLE LANGUAGE sql AS $$ SELECT
    gen.pick(ARRAY['After the review we', 'Before the opening they', 'This morning I', 'With the new budget we',
        'On second thought I', 'Together with the printer we', 'For the spring issue she', 'Against all advice he',
        'Thanks to the volunteers we', 'To keep the schedule I', 'During rehearsal they',
        'As the jury asked, we'], h) || ' ' ||
    gen.pick(ARRAY['rewrote', 'recorded', 'translated', 'postponed', 'simplified', 'uploaded', 'compared', 'replaced',
        'approved', 'sketched', 'measured', 'withdrew', 'restored', 'annotated'], h >> 9) || ' ' ||
    gen.pick(ARRAY['the opening scene', 'the cover illustration', 'both sound tracks', 'the floor plan',
        'the donor list', 'the second chapter', 'every caption', 'the colour proofs', 'the sign-up form',
        'the "final_final" draft', 'the closing credits', 'the lighting plot', 'the press kit',
        'the contract (v3)'], h >> 18) ||
    gen.pick(ARRAY['.', '.', ' and shared the link.', '; please have a look.', ' — it’s much better now.',
        ', but one question is open.', ' for the third time!', ', as agreed.'], h >> 27) $$;
CREATE FUNCTION gen.sentence(h bigint) RETURNS text IMMUTABLE LANGUAGE sql AS $$ SELECT
    CASE WHEN (h >> 40) % 5 < 3 THEN gen.korean_sentence(h) ELSE gen.english_sentence(h) END $$;

CREATE FUNCTION gen.user_agent(h bigint) RETURNS text IMMUTABLE LANGUAGE sql AS $$ SELECT gen.pick(ARRAY[
    'Mozilla/5.0 (Windows NT 10.0; Win64; x64) Chrome/137.0.0.0 Safari/537.36',
    'Mozilla/5.0 (Macintosh; Intel Mac OS X 14_5) Version/17.5 Safari/605.1.15',
    'Mozilla/5.0 (Linux; Android 15; SM-S931N) Chrome/137.0.0.0 Mobile Safari/537.36',
    'Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) Mobile/15E148',
    'Mozilla/5.0 (X11; Linux x86_64; rv:139.0) Gecko/20100101 Firefox/139.0',
    'CreativityApp/4.12 (ios)', 'CreativityApp/4.11 (android)'], h) $$;
